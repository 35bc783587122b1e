"""What came in about interviews, and their syncs."""
