"""`queenpost new`: from a sentence to a fleet that works on it. What is written is the user's to edit from then on."""
