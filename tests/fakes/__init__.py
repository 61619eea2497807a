"""Stand-ins for what lies at the edge of the machine, and for seams between packages."""
