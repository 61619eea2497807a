"""Rules of the house that a program can check: sizes, imports, layout, records."""
