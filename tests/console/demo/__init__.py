"""What the demo sets up, says and judges."""
