"""Work that goes on when the client hangs up: what is durable is never left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Undisturbed:
    """Runs work in tasks of their own."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], asyncio.Event] = {}

    async def run(self, work: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
        """Return what the work returns; when its caller is cancelled, it goes on and the event is set."""
        gone = asyncio.Event()
        task = asyncio.create_task(work(gone))
        self._tasks[task] = gone
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            gone.set()
            raise

    async def close(self) -> None:
        """Wait for what goes on; whoever is being asked cannot answer any more."""
        for gone in self._tasks.values():
            gone.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody is told of what nobody waits for
