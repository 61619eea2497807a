"""Tests of what every process shares; the link over real sockets, the rest without input or output."""
