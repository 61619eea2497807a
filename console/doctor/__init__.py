"""What `queenpost doctor` looks at, one file for each group of checks. Each finding comes with what mends it."""
