"""What a lane is, and how long it waits after something went wrong."""

from __future__ import annotations

import random
from typing import Protocol

from connector.domain.lease import Lease

LONGEST_WAIT = 60_000
_FIRST_WAIT = 500
CREDENTIAL_WAIT = 600_000  # a lane paused for its credential tries again every 10 minutes


class Worker(Protocol):
    """Work that one process at a time does for one credential."""

    name: str

    async def recover(self, lease: Lease, /) -> None:
        """Deal with what a dead owner left behind."""
        ...

    async def drain(self, lease: Lease, /) -> int | None:
        """Do what is due; return milliseconds until there may be more, or None.

        0 says that there is more now: the runner drains again at once.
        """
        ...


def backoff(failures: int) -> int:
    """Return how long to wait after failures in a row (ms): doubling from 0.5 s to 60 s, with jitter."""
    longest = min(_FIRST_WAIT * 2 ** min(failures, 16), LONGEST_WAIT)
    return int(random.uniform(longest / 2, longest))  # noqa: S311 - spreads load, hides nothing
