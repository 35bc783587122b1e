"""Tokens, audit log, idempotency and secrets."""
