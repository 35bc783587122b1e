"""Limits of both services: calls in a window, and Amplitude's events a second of each user and device."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any


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


class RateWindow:
    """Count events by id over the last `seconds`. Refused events are not counted."""

    def __init__(self, events_per_second: float, seconds: float) -> None:
        self.events_per_second = events_per_second
        self.seconds = seconds
        self._taken: dict[str, deque[tuple[float, int]]] = {}

    def over(self, wanted: Mapping[str, int], now: float) -> dict[str, int]:
        """Return the ids that would go over the limit, each with the whole events a second it would reach."""
        over: dict[str, int] = {}
        for name, count in wanted.items():
            rate = (self._in_window(name, now) + count) / self.seconds
            if rate > self.events_per_second:
                over[name] = int(rate)
        return over

    def take(self, wanted: Mapping[str, int], now: float) -> None:
        """Count accepted events."""
        for name, count in wanted.items():
            self._taken.setdefault(name, deque()).append((now, count))

    def _in_window(self, name: str, now: float) -> int:
        taken = self._taken.get(name)
        if not taken:
            return 0
        while taken and taken[0][0] <= now - self.seconds:
            taken.popleft()
        return sum(count for _, count in taken)


class IdentityThrottle:
    """The user window and the device window of one endpoint."""

    def __init__(self, events_per_second: float, seconds: float) -> None:
        self.events_per_second = events_per_second
        self._users = RateWindow(events_per_second, seconds)
        self._devices = RateWindow(events_per_second, seconds)

    def refusal(self, events: Sequence[Mapping[str, Any]], now: float) -> dict[str, Any] | None:
        """Count the request, or return the 429 body that refuses all of it.

        Only device ids that the request names are counted: a derived one is the user again.
        """
        users = Counter(event["user_id"] for event in events if event.get("user_id"))
        devices = Counter(event["device_id"] for event in events if event.get("device_id"))
        over_users, over_devices = self._users.over(users, now), self._devices.over(devices, now)
        if not over_users and not over_devices:
            self._users.take(users, now)
            self._devices.take(devices, now)
            return None
        return {
            "code": 429,
            "error": "Too many requests for some devices and users",
            "eps_threshold": int(self.events_per_second),
            "throttled_devices": over_devices,
            "throttled_users": over_users,
            "throttled_events": [
                index
                for index, event in enumerate(events)
                if event.get("user_id") in over_users or event.get("device_id") in over_devices
            ],
        }
