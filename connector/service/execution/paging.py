"""Times as callers write them."""

from __future__ import annotations

from connector.domain.results.koji_fields import read_time
from connector.errors import InvalidInput


def bound(name: str, text: str | None) -> int | None:
    """Return a time filter in milliseconds. Raises `InvalidInput` for what is no time."""
    if text is None:
        return None
    at = read_time(text)
    if at is None:
        raise InvalidInput.of(name, "is no time; write it like 2026-01-31T12:00:00Z")
    return at
