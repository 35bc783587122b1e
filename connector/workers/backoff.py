"""The delay after a failure: growing and jittered, the same for all workers."""

from __future__ import annotations

import random
from typing import Final

CREDENTIAL_WAIT: Final = 600_000
"""How long a worker waits before it tries a refused credential again (ms): 10 minutes."""
_FIRST, _LONGEST = 500, 60_000


def backoff(
    failures: int, retry_after: float | None = None, *, first: int = _FIRST, longest: int = _LONGEST
) -> int:
    """Return how long to wait after failures in a row (ms): doubling from `first` to `longest`.

    Half of it is random, so that requests which failed together are not repeated together. `retry_after`
    (seconds), which the other side asked for, may prolong the delay and never shortens it.
    """
    wait = min(first * 2 ** min(failures, 20), longest)
    return max(int(random.uniform(wait / 2, wait)), int((retry_after or 0) * 1000))  # noqa: S311 - no secret
