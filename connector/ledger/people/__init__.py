"""Aliases, respondents and erasure."""
