"""Every word a model reads."""
