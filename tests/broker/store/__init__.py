"""The store engine, on real SQLite files."""
