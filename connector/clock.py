"""The clock: its port and the real one."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests can move it."""

    def now(self) -> int:
        """Return the present, in milliseconds."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""


class SystemClock:
    """Wall-clock time in milliseconds, as several processes must agree on it."""

    def now(self) -> int:
        """Return the present."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)
