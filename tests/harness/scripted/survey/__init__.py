"""Surveying a folder."""
