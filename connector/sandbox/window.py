"""A sliding window over calls."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence


class CallWindow:
    """Allow at most `limit` calls in any `seconds` (None: no limit). `now` gives seconds."""

    def __init__(self, limit: int | None, seconds: float, now: Callable[[], float]) -> None:
        self.limit = limit
        self.seconds = seconds
        self._now = now
        self._calls: deque[float] = deque()

    def take(self) -> bool:
        """Count one call, or return False when it would be one too many."""
        now = self._now()
        while self._calls and self._calls[0] <= now - self.seconds:
            self._calls.popleft()
        if self.limit is not None and len(self._calls) >= self.limit:
            return False
        self._calls.append(now)
        return True

    def reset(self) -> None:
        """Forget all calls."""
        self._calls.clear()


def most_in_any_window(times: Sequence[float], seconds: float) -> int:
    """Return the largest number of `times` (ascending) within any half-open span of `seconds`."""
    return max((bisect_right(times, end) - bisect_right(times, end - seconds) for end in times), default=0)
