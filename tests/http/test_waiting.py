"""Calls that wait: the more there are, the less often each looks."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from connector.service.execution.polling import poll

pytestmark = pytest.mark.unit

WAITING, SECONDS = 400, 20.0


class Clock:
    """A clock that every sleep moves, for all who sleep at once."""

    def __init__(self) -> None:
        self.ms = 0.0
        self.moved = asyncio.Condition()

    def now(self) -> float:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        until = self.ms + seconds * 1_000
        async with self.moved:
            await self.moved.wait_for(lambda: self.ms >= until)


async def looks(calls: int) -> tuple[float, float]:
    """Return how often calls looked, in all and a second, and when the last one gave up (s)."""
    clock, seen = Clock(), 0
    ctx: Any = SimpleNamespace(clock=clock, since=None, stopping=asyncio.Event())

    async def look(before: None) -> None:
        nonlocal seen
        seen += 1

    async def wait() -> float:
        async for _ in poll(ctx, SECONDS, None, look):
            pass
        return clock.ms / 1_000

    async def goes_on() -> None:
        while True:
            async with clock.moved:
                clock.ms += 20
                clock.moved.notify_all()
            await asyncio.sleep(0)

    time = asyncio.create_task(goes_on())
    ended = await asyncio.gather(*(wait() for _ in range(calls)))
    time.cancel()
    return seen / SECONDS, max(ended)


async def test_many_calls_look_together_about_as_often_as_few() -> None:
    few, _ = await looks(20)
    many, ended = await looks(WAITING)
    assert 30 < few < 60
    assert many < 6 * few, "of 20 times as many calls"
    assert ended <= SECONDS + 0.6, "and none waits longer than it said"
