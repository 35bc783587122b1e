"""Run actions at given times of the sandbox's own clock."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

TICK_SECONDS = 0.02


class Scheduler:
    """Runs actions when `now` reaches their time. The clock may jump, so it is read every 20 ms."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._added = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run due actions until the block ends; later actions do not run."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def waiting(self) -> int:
        """Count the actions that have not run yet."""
        return len(self._heap)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Run `action` at `when` (epoch seconds)."""
        heapq.heappush(self._heap, (when, next(self._order), action))
        self._added.set()

    def clear(self) -> None:
        """Drop all actions."""
        self._heap.clear()

    async def _run(self) -> None:
        while True:
            self.run_due()
            if not self._heap:
                self._added.clear()
                await self._added.wait()
            else:
                await asyncio.sleep(min(TICK_SECONDS, max(0.0, self._heap[0][0] - self._now())))

    def run_due(self) -> None:
        """Run all due actions."""
        while self._heap and self._heap[0][0] <= self._now():
            heapq.heappop(self._heap)[2]()
