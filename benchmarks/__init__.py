"""Measurements of Queenpost against a floor that is taken in the same run; started by `make bench`."""
