"""A fleet at work, as a person watches it: what passes scrolls by, below it stands who does what now."""
