"""The price of interviews at Koji: text 1 credit, voice 3, and 3 where the mode is not known."""

from __future__ import annotations

from typing import Final, NamedTuple

from connector.domain.launches.launch import LaunchOptions

_DAY: Final = 86_400_000  # ms
_COST: Final = {"text": 1, "voice": 3}
_UNKNOWN: Final = 3


class Spending(NamedTuple):
    """What a start spends of a UTC day: `cost` of a lane's `cap` credits, and one of its launch's people.

    `people_a_day` is how many people the launch may start in a day; None: no limit.
    """

    lane: str
    cost: int
    cap: int
    people_a_day: int | None = None


def price(options: LaunchOptions, default_mode: str | None, people: int = 1) -> int:
    """Return the credits that a launch's interviews with `people` people take at most.

    `default_mode` is the study's own mode (KOJI_DEFAULT_MODE), for launches that name none.
    """
    return people * _COST.get(options.mode or default_mode or "", _UNKNOWN)


def day_of(now: int) -> int:
    """Return the number of the UTC day of a time (ms)."""
    return now // _DAY


def day_start(now: int) -> int:
    """Return when the UTC day of a time began (ms)."""
    return day_of(now) * _DAY


def launch_lane(launch_id: str) -> str:
    """Return the lane that counts a standing launch's starts of a day, as one credit each."""
    return f"launch:{launch_id}"


def next_day(now: int) -> int:
    """Return when the next UTC day begins (ms)."""
    return (day_of(now) + 1) * _DAY
