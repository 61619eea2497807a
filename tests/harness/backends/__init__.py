"""Programs that play the model."""
