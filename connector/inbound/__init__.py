"""What others send us."""
