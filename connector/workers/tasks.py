"""The base of workers that run each job in its own task: a slow job delays no other."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import NamedTuple

import structlog

from connector.context import Context
from connector.domain.lease import Lease
from connector.errors import ConnectorError
from connector.workers.base import Worker, time_left

_LOOK_AGAIN = 100
_log = structlog.get_logger(__name__)


class Job(NamedTuple):
    """A job that is due, and the function that runs it."""

    id: str
    connection: str
    serve: Callable[[Lease], Awaitable[None]]


class TaskWorker(Worker):
    """Runs the jobs that are due, each in its own task; an unsettled job runs again under the same id."""

    at_once: float = inf
    """The most jobs that run at a time."""

    def __init__(self, context: Context, next_due: Callable[[], Awaitable[int | None]]) -> None:
        """Make a worker that looks for jobs at the time (ms) that `next_due` returns."""
        super().__init__(context)
        self._next_due = next_due
        self._busy: dict[str, asyncio.Task[bool]] = {}

    @abstractmethod
    async def due(self, now: int) -> list[Job]:
        """Return the jobs that are due."""

    async def drain(self, lease: Lease, /) -> int | None:
        """Start due jobs, up to `at_once`; running jobs continue."""
        now = self._clock.now()
        if (wait := time_left(await self._next_due(), now)) != 0:
            return wait
        kept = {*self._busy, *self.held()}
        for job in await self.due(now):
            if job.id not in kept and len(self._busy) < self.at_once:
                task = asyncio.create_task(self._serve(job, lease), name=job.id)
                task.add_done_callback(partial(self._ended, job.id))
                self._busy[job.id] = task
        return _LOOK_AGAIN

    async def _serve(self, job: Job, lease: Lease) -> bool:
        """Run a job; tell whether the lane may look for its next work at once."""
        try:
            return await self.attempt(job.id, job.connection, job.serve(lease), self.later) is None
        except ConnectorError as error:  # the lane's owner runs the job again
            _log.warning("delivery_interrupted", worker=self.name, id=job.id, code=error.reason)
            return False

    def _ended(self, name: str, task: asyncio.Task[bool]) -> None:
        self._busy.pop(name, None)
        if not task.cancelled() and task.exception() is None and task.result():
            self._context.wake(self.name)

    async def close(self) -> None:
        """Cancel the running jobs."""
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
