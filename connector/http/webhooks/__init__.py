"""Koji's webhook and Amplitude's cohort webhook."""
