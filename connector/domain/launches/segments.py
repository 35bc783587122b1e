"""Who answered: a launch's people by one property, beside the cohort's, with what the rates can say."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Final, NamedTuple

_Z: Final = 1.959964  # 95 %, both sides
_ENOUGH: Final = 10


class Reached(NamedTuple):
    """How many people of a segment were invited, came back, and reached Amplitude."""

    invited: int = 0
    completed: int = 0
    synced: int = 0


class Segment(NamedTuple):
    """A segment beside the cohort's; rate and 95 % interval are None below ten invited."""

    value: str
    cohort: int
    invited: int
    completed: int
    synced: int
    completion_rate: float | None
    low: float | None
    high: float | None


def segments(cohort: Mapping[str, int], reached: Mapping[str | None, Reached]) -> list[Segment]:
    """Return the segments of a launch, the largest of the cohort first."""
    ordered = sorted(cohort.items(), key=lambda each: (-each[1], each[0]))
    return [segment(value, n, reached.get(value, Reached())) for value, n in ordered]


def segment(value: str, cohort: int, reached: Reached) -> Segment:
    """Return a segment with its rate."""
    if reached.invited < _ENOUGH:
        return Segment(value, cohort, *reached, None, None, None)
    low, high = wilson(reached.completed, reached.invited)
    return Segment(value, cohort, *reached, round(reached.completed / reached.invited, 4), low, high)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Wilson's score interval, without continuity correction)."""
    rate, z2 = successes / n, _Z * _Z
    middle = (rate + z2 / (2 * n)) / (1 + z2 / n)
    reach = _Z * sqrt(rate * (1 - rate) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return round(max(0.0, middle - reach), 4), round(min(1.0, middle + reach), 4)
