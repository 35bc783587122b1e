"""Answers and errors for models."""
