"""Limits of both services: calls in a window, and Amplitude's events a second of each user and device."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Identity = tuple[str, str]
"""A field of an event (`user_id` or `device_id`) and its value."""

IDENTITY_FIELDS: Final = ("user_id", "device_id")


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


class IdentityThrottle:
    """Limit the events a second of each user and device, averaged over `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._taken: dict[Identity, deque[tuple[float, int]]] = {}

    def refusal(
        self, events: Sequence[Mapping[str, Any]], limit: float | None, now: float
    ) -> dict[str, Any] | None:
        """Count the events of a request, or return the 429 body that refuses all of it; `limit` None is none.

        A refused request is not counted. Only device ids that the request names are counted: a derived one is
        the user again.
        """
        if limit is None:
            return None
        counts = Counter(
            (field, event[field]) for event in events for field in IDENTITY_FIELDS if event.get(field)
        )
        rates = {name: (self._in_window(name, now) + count) / self.seconds for name, count in counts.items()}
        over = {name: int(rate) for name, rate in rates.items() if rate > limit}
        if over:
            return throttle_refusal(events, over, int(limit))
        for name, count in counts.items():
            self._taken.setdefault(name, deque()).append((now, count))
        return None

    def _in_window(self, name: Identity, now: float) -> int:
        taken = self._taken.get(name, deque())
        while taken and taken[0][0] <= now - self.seconds:
            taken.popleft()
        return sum(count for _, count in taken)


def throttle_refusal(
    events: Sequence[Mapping[str, Any]], rates: Mapping[Identity, int], threshold: int
) -> dict[str, Any]:
    """Return the 429 body that names throttled users and devices, each with its events a second."""
    return {
        "code": 429,
        "error": "Too many requests for some devices and users",
        "eps_threshold": threshold,
        "throttled_devices": by_value(rates, "device_id"),
        "throttled_users": by_value(rates, "user_id"),
        "throttled_events": [
            index
            for index, event in enumerate(events)
            if any((field, event.get(field)) in rates for field in IDENTITY_FIELDS)
        ],
    }


def by_value(numbers: Mapping[Identity, int], field: str) -> dict[str, int]:
    """Return the numbers of one identity field, by its value."""
    return {value: number for (name, value), number in numbers.items() if name == field}
