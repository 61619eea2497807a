"""What operators hold in their hands: the command line, the supervisor behind `queenpost up`, the demo.

It talks to a fleet over the link only, and starts the other programs by exec, never by import.
"""
