"""The floor: what the same rows and commits cost over the same kind of socket, with no product logic at all."""
