"""Leased background work: one worker per kind of lane, one runner."""
