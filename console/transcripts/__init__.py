"""What programs write in their turns, read for people: one module per format, pure functions over lines.

It knows nothing of the broker, and prints nothing. A line that nobody knows is shown as it came.
"""
