"""Reading what programs write."""
