"""Keeping the loops alive."""
