"""The workers: one module per kind of lane, one runner."""
