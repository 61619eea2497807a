"""The rules of the post office, one noun per file, as plain synchronous commands over a transaction."""
