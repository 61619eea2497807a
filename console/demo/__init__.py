"""The demo: a fleet of scripted agents does a real job on a real folder, and one of them is killed in the middle.

It uses what an operator uses: the supervisor of `queenpost up`, the link, the log files.
"""
