"""Leases, rate limit, diagnostics and retention."""
