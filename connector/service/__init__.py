"""What running an operation needs, and what operations and workers share."""
