"""The formats of other products."""
