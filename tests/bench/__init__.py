"""Measurements. `make bench` prints ratios against a ceiling of the same run: these numbers are never asserted."""
