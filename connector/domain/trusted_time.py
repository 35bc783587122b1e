"""Tell how far deleting, and giving up after a day, may trust the wall clock, which may jump."""

from __future__ import annotations

from typing import NamedTuple

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000  # ms


class _Reading(NamedTuple):
    """The two clocks at one moment, in ms: `elapsed` never jumps, but begins anywhere."""

    wall: int
    elapsed: int


class TrustedTime:
    """The present, as far as a clock that never jumps confirms it since the first look.

    The first look itself is trusted when it is at most a day after `confirmed`, the last trusted time of an
    earlier run (None: there was none), or once the wall clock went right for an hour.
    """

    def __init__(self, confirmed: int | None) -> None:
        self._confirmed = confirmed
        self._base: _Reading | None = None
        self._candidate: _Reading | None = None

    def now(self, wall: int, elapsed: int) -> int | None:
        """Return the trusted time (ms), never later than the wall clock; None while nothing confirms it."""
        reading = _Reading(wall, elapsed)
        if self._base is None and (self._confirmed is None or wall - self._confirmed <= _DAY):
            self._base = reading
        if self._base is None:
            before = self._candidate
            if before is None or abs(_drift(before, reading)) > _MINUTE:
                self._candidate = reading
            elif elapsed - before.elapsed >= _HOUR:
                self._base = before
        if self._base is None:
            return None
        return min(wall, self._base.wall + elapsed - self._base.elapsed)


def _drift(before: _Reading, after: _Reading) -> int:
    return (after.wall - before.wall) - (after.elapsed - before.elapsed)
