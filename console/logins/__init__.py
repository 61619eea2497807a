"""How the programs that play the model are logged in, and how one sees that they are."""
