"""The shipped scripts, one module each, called by their file name with dashes."""
