"""What several implementations of one seam have in common."""
