"""Work that goes on beside a lane's draining: one task for each thing, so that a slow one delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


class Tasks:
    """Tasks by the name of what they serve; `on_end` is called when one has ended."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._busy: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._busy

    def __len__(self) -> int:
        return len(self._busy)

    def start(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Begin to serve something that is not served yet."""
        task = self._busy[name] = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda _: self._ended(name))

    def _ended(self, name: str) -> None:
        self._busy.pop(name, None)
        self._on_end()

    async def close(self) -> None:
        """Cancel what is under way."""
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
