"""When a launch ends: within the calls of a minute and the credits of a UTC day."""

from __future__ import annotations

import pytest

from connector.domain.launches.forecast import Forecast, forecast

pytestmark = pytest.mark.unit

DAY = 86_400_000
NOON = 20_000 * DAY + DAY // 2


@pytest.mark.parametrize(
    ("people", "left", "a_day", "expected"),
    [
        (0, 0, 0, Forecast(0, 0)),
        (60, 100, 100, Forecast(60, 60)),
        (60, 60, 0, Forecast(60, 60)),
        (50, 22, 33, Forecast(22, 43_200 + 28)),
        (100, 0, 33, Forecast(0, 43_200 + 3 * 86_400 + 1)),
        (99, -5, 33, Forecast(0, 43_200 + 2 * 86_400 + 33)),
        (5, 1, 0, Forecast(1, None)),
    ],
)
def test_people_who_do_not_fit_into_a_day_wait_for_the_next(
    people: int, left: int, a_day: int, expected: Forecast
) -> None:
    assert forecast(people, a_minute=60, left=left, a_day=a_day, now=NOON) == expected


def test_the_calls_of_a_minute_are_shared_by_the_starts() -> None:
    assert forecast(10, a_minute=60 * 60 / 61, left=10, a_day=10, now=NOON).seconds == 11
    assert forecast(1, a_minute=6_000, left=1, a_day=1, now=NOON).seconds == 1
