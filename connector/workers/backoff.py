"""Compute the delay after a failure: growing, jittered, and the same for all workers."""

from __future__ import annotations

import random
from typing import Final

CREDENTIAL_WAIT: Final = 600_000
"""The delay before a worker tries a refused credential again (ms): 10 minutes."""
_FIRST, _LONGEST = 500, 60_000  # ms


def backoff(
    failures: int, retry_after: float | None = None, *, first: int = _FIRST, longest: int = _LONGEST
) -> int:
    """Return the delay after failures in a row (ms): it doubles from `first` to `longest`.

    Half of the delay is random, so that requests that failed together are not repeated together.
    `retry_after` (seconds), from the server's answer, may lengthen the delay but never shortens it.
    """
    wait = min(first * 2 ** min(failures, 20), longest)
    return max(int(random.uniform(wait / 2, wait)), int((retry_after or 0) * 1000))  # noqa: S311 - no secret
