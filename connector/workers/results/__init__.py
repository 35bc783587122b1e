"""Intake and delivery of results."""
