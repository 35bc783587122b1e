"""Delivery of hooks and callbacks."""
