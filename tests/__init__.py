"""The tests: a mirror of the tree, plus what belongs to no single module."""
