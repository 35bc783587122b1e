"""What `check_connection` looks at."""
