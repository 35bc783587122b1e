"""The base of every worker."""

from __future__ import annotations

from abc import ABC, abstractmethod

from connector.context import Context
from connector.domain.lease import Lease


class Worker(ABC):
    """Background work of one process at a time: the process leases the lane with this `name`."""

    name: str

    def __init__(self, context: Context) -> None:
        self._context, self._ledger, self._clock = context, context.ledger, context.clock

    async def recover(self, lease: Lease, /) -> None:  # noqa: B027 - most workers need nothing else
        """Repair a stopped worker's half-done work; work not marked as done is repeated anyway."""

    @abstractmethod
    async def drain(self, lease: Lease, /) -> int | None:
        """Do the due work; return the milliseconds until more work may be due, or None.

        0 means that more work is due now: the runner drains again at once.
        """

    async def close(self) -> None:  # noqa: B027 - most workers have no job in flight between two drains
        """Cancel the jobs in flight."""


def time_left(due: int | None, now: int) -> int | None:
    """Return the milliseconds from `now` to `due`: 0 if `due` has passed, or None without `due`."""
    return None if due is None else max(0, due - now)
