"""Look at something again and again, as long as a caller has patience."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

from connector.context import Context

T = TypeVar("T")
_GROWTH = 1.5


class Polling(Generic[T]):
    """Iterate over the states of a thing: the present one at once, then what `read` makes of it after pauses.

    The pauses grow from `first` to `longest` seconds. It ends after `seconds` (never without them), and when
    the process stops::

        async for sync in Polling(ctx, seconds, sync, read):
            if sync.stage is None:
                break
    """

    def __init__(
        self,
        ctx: Context,
        seconds: float | None,
        present: T,
        read: Callable[[T], Awaitable[T]],
        *,
        first: float = 0.02,
        longest: float = 0.5,
    ) -> None:
        self._ctx = ctx
        self._until = None if seconds is None else ctx.clock.now() + seconds * 1000
        self._present = present
        self._read = read
        self._pause, self._longest = first, longest
        self._has_begun = False

    def __aiter__(self) -> Self:
        """Return itself: it is gone through once."""
        return self

    async def __anext__(self) -> T:
        """Return the next state. Raises `StopAsyncIteration` when the patience is over."""
        if self._has_begun:
            is_over = self._until is not None and self._ctx.clock.now() >= self._until
            if is_over or self._ctx.stopping.is_set():
                raise StopAsyncIteration
            await self._ctx.clock.sleep(self._pause)
            self._pause = min(self._pause * _GROWTH, self._longest)
            self._present = await self._read(self._present)
        self._has_begun = True
        return self._present
