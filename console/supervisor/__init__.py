"""The supervisor behind `queenpost up`: one lock, a broker, a harness, in that order, and back.

It knows the programs by their command lines and ready lines only; it never speaks to the broker.
"""
