"""Look at a thing again and again, as long as a caller has patience."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from connector.context import Context

T = TypeVar("T")
_GROWTH = 1.5
_AT_FULL_PACE = 32
"""With more calls that wait, each looks less often, so that other readers of the ledger get their turn."""
_waiting: set[object] = set()


async def poll(
    ctx: Context,
    seconds: float | None,
    present: T,
    read: Callable[[T], Awaitable[T]],
    *,
    first: float = 0.02,
    longest: float = 0.5,
) -> AsyncIterator[T]:
    """Yield the states of a thing: the present one at once, then what `read` makes of it after pauses.

    The pauses grow from `first` to `longest` seconds. It ends `seconds` after the call came in (never without
    them), and when the process stops::

        async for sync in poll(ctx, seconds, sync, read):
            if sync.stage is None:
                break
    """
    until = None if seconds is None else (ctx.since or ctx.clock.now()) + seconds * 1000
    pause = first
    yield present
    _waiting.add(call := object())
    try:
        while not ctx.stopping.is_set() and (until is None or ctx.clock.now() < until):
            crowded = pause * max(1.0, len(_waiting) / _AT_FULL_PACE)
            left = crowded if until is None else (until - ctx.clock.now()) / 1000
            await ctx.clock.sleep(min(crowded, left + pause))
            pause = min(pause * _GROWTH, longest)
            present = await read(present)
            yield present
    finally:
        _waiting.discard(call)
