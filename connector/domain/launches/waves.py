"""Invite in waves until enough interviews came back, as the rate of those who answer shows itself."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final, NamedTuple

DAY: Final = 86_400_000  # ms
BETWEEN: Final = 3 * DAY
"""From one wave to the next: most of those who answer at all have answered by then."""
_PRIOR = 0.2
_KNOWN_FROM = 10  # invitations of a day or more
_MAY_ANSWER = 7 * DAY


class Answer(NamedTuple):
    """An invitation at `at` (ms; the future when it only waits): whether its interview is good, or may be."""

    at: int
    is_good: bool
    is_open: bool


class Wave(NamedTuple):
    """Good interviews so far, how many more are expected of those invited, and how many people to invite."""

    completed: int
    expected: int
    size: int


def next_wave(target: int, answers: Sequence[Answer], now: int) -> Wave:
    """Return what a target of good interviews needs now.

    The rate is that of all who were invited a day ago or earlier. No wave is larger than all before it, or
    than the target: a rate that is far from the first guess costs little.
    """
    old = [answer for answer in answers if now - answer.at >= DAY]
    rate = _PRIOR
    if len(old) >= _KNOWN_FROM:
        rate = max(sum(answer.is_good for answer in old) / len(old), 1 / (len(old) + 1))
    completed = sum(answer.is_good for answer in answers)
    expected = rate * sum(answer.is_open and now - answer.at < _MAY_ANSWER for answer in answers)
    missing = target - completed - expected
    size = 0 if missing <= 0 else min(ceil(missing / rate), max(target, len(answers)))
    return Wave(completed, round(expected), size)
