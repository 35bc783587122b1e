"""Closes the loop between Amplitude (what users do) and Koji (why they do it)."""

__version__ = "0.1.0"
