"""Foresee when a launch has started all its people, within the calls of a minute and the credits of a day."""

from __future__ import annotations

from typing import NamedTuple

from connector.domain.launches.credits import next_day

_DAY = 86_400_000  # ms


class Forecast(NamedTuple):
    """People started this UTC day, and the `seconds` until the last start (None: it never comes)."""

    today: int
    seconds: int | None


def forecast(people: int, *, a_minute: float, left: int, a_day: int, now: int) -> Forecast:
    """Return when `people` are started: `left` of them this UTC day, `a_day` on each later one.

    `a_minute` is how many starts the key's limit of calls allows. Other launches may take a share of both.
    """
    today = min(people, max(0, left))
    later = people - today
    if not later:
        return Forecast(today, _seconds(people, a_minute))
    if a_day < 1:
        return Forecast(today, None)
    days = -(-later // a_day) - 1
    wait = next_day(now) + days * _DAY - now
    return Forecast(today, wait // 1_000 + _seconds(later - days * a_day, a_minute))


def _seconds(people: int, a_minute: float) -> int:
    return -int(-people * 60 // a_minute)
