"""The programs that play the model, one module each, behind the seam in `protocol`."""
