"""The base of every worker."""

from __future__ import annotations

from abc import ABC, abstractmethod

from connector.context import Context
from connector.domain.lease import Lease


class Worker(ABC):
    """Background work that one process at a time does, under the lease of the lane with this name."""

    name: str

    def __init__(self, context: Context) -> None:
        self._context, self._ledger, self._clock = context, context.ledger, context.clock

    async def recover(self, lease: Lease, /) -> None:  # noqa: B027 - most workers need nothing else
        """Repair what a dead owner left behind; work that was not marked as done is taken again anyway."""

    @abstractmethod
    async def drain(self, lease: Lease, /) -> int | None:
        """Do what is due; return milliseconds until there may be more, or None.

        0 says that there is more now: the runner drains again at once.
        """

    async def close(self) -> None:  # noqa: B027 - most workers have nothing on its way between two drains
        """Cancel what is on its way."""


def time_left(due: int | None, now: int) -> int | None:
    """Return how long until a time (ms), 0 when it has come, None when there is none."""
    return None if due is None else max(0, due - now)
