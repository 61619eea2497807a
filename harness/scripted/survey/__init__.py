"""Surveying a folder: which files, how they are shared out, what is in them, the report. Knows no mail."""
