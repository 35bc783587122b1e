"""Read how long a server asks to wait."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_WAIT: Final = 3_600  # seconds; then one call shows whether the server still asks to wait


def retry_after_seconds(
    headers: Mapping[str, str], now: float | None = None, longest: int = LONGEST_WAIT
) -> int | None:
    """Return an answer's Retry-After in whole seconds, at most `longest`, or None without a valid one.

    RFC 9110: the value is a number of seconds or an HTTP date. A date counts from the answer's own `Date`,
    which does not depend on our clock, or else from `now` (Unix time, seconds).
    """
    value = _header(headers, "retry-after")
    if value.isascii() and value.isdigit():
        return longest if len(value) > 5 else min(int(value), longest)
    until, date = _unix(value), _unix(_header(headers, "date"))
    since = now if date is None else date
    if until is None or since is None:
        return None
    return min(max(math.ceil(until - since), 0), longest)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value.strip() for key, value in headers.items() if key.lower() == name), "")


def _unix(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
