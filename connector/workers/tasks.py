"""The base of workers that run each job in its own task: a slow job delays no other."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf

import structlog

from connector.context import Context
from connector.domain.lease import Lease
from connector.errors import Conflict, LedgerUnavailable
from connector.workers.base import Worker, time_left

Serve = Callable[[Lease], Awaitable[None]]
_LOOK_AGAIN = 100
_log = structlog.get_logger(__name__)


class TaskWorker(Worker):
    """Runs the jobs that are due, each in its own task; an unsettled job runs again under the same id."""

    at_once: float = inf
    """The most jobs that run at a time."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._busy: dict[str, asyncio.Task[None]] = {}

    @abstractmethod
    async def next_due(self) -> int | None:
        """Return when the next job is due (ms)."""

    @abstractmethod
    async def due(self, now: int) -> list[tuple[str, Serve]]:
        """Return the jobs that are due, as (id, function that runs the job)."""

    async def drain(self, lease: Lease, /) -> int | None:
        """Start due jobs, up to `at_once`; running jobs continue."""
        now = self._clock.now()
        if (wait := time_left(await self.next_due(), now)) != 0:
            return wait
        for name, serve in await self.due(now):
            if name not in self._busy and len(self._busy) < self.at_once:
                task = asyncio.create_task(self._serve(name, serve, lease), name=name)
                task.add_done_callback(partial(self._ended, name))
                self._busy[name] = task
        return _LOOK_AGAIN

    async def _serve(self, name: str, serve: Serve, lease: Lease) -> None:
        try:
            await serve(lease)
        except (Conflict, LedgerUnavailable) as error:  # the lane's owner runs the job again
            _log.warning("delivery_interrupted", worker=self.name, id=name, code=error.reason)

    def _ended(self, name: str, _: asyncio.Task[None]) -> None:
        self._busy.pop(name, None)
        self._context.wake(self.name)

    async def close(self) -> None:
        """Cancel the running jobs."""
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
