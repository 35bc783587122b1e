"""Sealing, signatures and callers."""
