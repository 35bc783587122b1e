"""The clock: its port and the real one."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

_STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """Time, so that tests can move it."""

    def now(self) -> int:
        """Return the present, in milliseconds."""

    def elapsed(self) -> int:
        """Return the milliseconds since some moment; unlike `now` it never jumps."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""


class SystemClock:
    """Wall-clock time in milliseconds, as several processes must agree on it."""

    def now(self) -> int:
        """Return the present."""
        return time.time_ns() // 1_000_000

    def elapsed(self) -> int:
        """Return the milliseconds since the machine started, those of its sleep included where known."""
        if _STEADY is None:  # not on Linux
            return time.monotonic_ns() // 1_000_000
        return time.clock_gettime_ns(_STEADY) // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)
