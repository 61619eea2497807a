"""Commands, against a scripted broker."""
