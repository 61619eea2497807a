"""Keeping the agents' loops alive, each by itself: attaching, restarting, stopping, clearing up."""
