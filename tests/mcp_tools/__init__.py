"""The tools an agent works with: rendering, both eras, both transports."""
