"""The base of every worker."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from connector.context import Context
from connector.domain.lease import Fault, Lease
from connector.errors import Conflict, LedgerUnavailable
from connector.workers.backoff import backoff

INTERNAL_ERROR: Final = "internal_error"
"""The reason of what a fault ended."""
PARK_AFTER: Final = 6
"""The failed attempts after which a job is parked: about half a minute."""
_LONGEST_WAIT: Final = 4 * 3_600_000  # ms, of a hook's delivery
_log = structlog.get_logger(__name__)


class Worker(ABC):
    """Background work of one process at a time: the process leases the lane with this `name`."""

    name: str

    def __init__(self, context: Context) -> None:
        self._context, self._ledger, self._clock = context, context.ledger, context.clock
        self._faults: dict[str, Fault] = {}
        self._logged: set[str] = set()

    async def recall(self) -> None:
        """Read the faults of the worker that owned the lane before; a parked job has one more attempt."""
        mine = [fault for fault in await self._ledger.faults.listed() if fault.worker == self.name]
        self._faults = {fault.job: fault._replace(due=fault.due or fault.at) for fault in mine}

    async def recover(self, lease: Lease, /) -> None:  # noqa: B027 - most workers need nothing else
        """Repair a stopped worker's half-done work; work not marked as done is repeated anyway."""

    @abstractmethod
    async def drain(self, lease: Lease, /) -> int | None:
        """Do the due work; return the milliseconds until more work may be due, or None.

        0 means that more work is due now: the runner drains again at once.
        """

    async def close(self) -> None:  # noqa: B027 - most workers have no job in flight between two drains
        """Cancel the jobs in flight."""

    async def attempt(
        self,
        job: str,
        connection: str,
        work: Awaitable[object],
        due_after: Callable[[int], int | None] | None = None,
    ) -> Fault | None:
        """Run one job; an exception that no code foresaw is a failed attempt of this job alone.

        Returns the fault of a failed attempt: the caller stores that the job is due again, or parked.
        `due_after` maps the number of failed attempts to that time (ms; None: parked).
        Raises `Conflict` when the lease was lost, and `LedgerUnavailable`.
        """
        try:
            await work
        except Exception as error:  # noqa: BLE001 - one place for all that no code foresaw
            return await self.failed(job, connection, error, due_after)
        await self.succeeded(job)
        return None

    async def failed(
        self,
        job: str,
        connection: str,
        error: Exception,
        due_after: Callable[[int], int | None] | None = None,
    ) -> Fault:
        """Store a failed attempt, as `attempt` does; raise an error that only interrupts a worker."""
        if is_interruption(error):
            raise error
        tries = 1 + (self._faults[job].tries if job in self._faults else 0)
        due = (due_after or self._due_after)(tries)
        fault = Fault(self.name, job, connection, type(error).__name__, tries, self._clock.now(), due)
        if tries == 1 or due is None:
            self._log(fault, error)
        self._faults[job] = fault
        await self._ledger.faults.failed(fault)
        return fault

    async def succeeded(self, job: str) -> None:
        """Forget the failed attempts of a job."""
        if self._faults.pop(job, None):
            await self._ledger.faults.succeeded(self.name, job)

    def held(self) -> list[str]:
        """Return the jobs whose next attempt is not due; a caller may let a parked one be tried again."""
        now = self._clock.now()
        # further away than any wait: the clock was ahead when the attempt failed
        waits = {job: fault.due - now for job, fault in self._faults.items() if fault.due is not None}
        return [job for job, wait in waits.items() if 0 < wait <= _LONGEST_WAIT]

    def parked(self) -> list[str]:
        """Return the jobs that were tried too often."""
        return [job for job, fault in self._faults.items() if fault.due is None]

    def later(self, tries: int) -> int:
        """Return when a job that is never parked is due again."""
        return self._clock.now() + backoff(tries)

    def next_attempt(self, otherwise: int | None) -> int | None:
        """Return the milliseconds until a held job is due, or `otherwise` where that is sooner."""
        now = self._clock.now()
        waits = [fault.due - now for fault in self._faults.values() if fault.due is not None]
        # a job that was due and did not run is gone
        return min((wait for wait in (*waits, otherwise) if wait is not None and wait > 0), default=None)

    def _due_after(self, tries: int) -> int | None:
        return None if tries >= PARK_AFTER else self.later(tries)

    def _log(self, fault: Fault, error: Exception) -> None:
        """Log a fault; the traceback of many jobs that fail at the same place is logged once."""
        place = str(traceback.extract_tb(error.__traceback__)[-1:]) + fault.error
        first = place not in self._logged
        self._logged.add(place)
        said = {"lane": self.name, "job": fault.job, "error": fault.error, "tries": fault.tries}
        event = "worker_parked" if fault.due is None else "worker_failed"
        _log.error(event, **said, exc_info=error if first else None)


def is_interruption(error: Exception) -> bool:
    """Tell whether an error only interrupts a worker: its lease was lost, or the ledger cannot be used."""
    lost = isinstance(error, Conflict) and error.reason == "lease_lost"
    return lost or isinstance(error, LedgerUnavailable)


def time_left(due: int | None, now: int) -> int | None:
    """Return the milliseconds from `now` to `due`: 0 if `due` has passed, or None without `due`."""
    return None if due is None else max(0, due - now)
