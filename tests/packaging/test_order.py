"""The order of the tests: what is slow starts first at every worker."""

from __future__ import annotations

import pytest

from tests.support.order import slow_first

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("items", [0, 1, 7, 30])
@pytest.mark.parametrize("slow", [0, 1, 7, 30])
@pytest.mark.parametrize("workers", [2, 3, 5])
def test_each_share_begins_with_its_part_of_the_slow(items: int, slow: int, workers: int) -> None:
    given = list(range(items))
    ordered = slow_first(given, lambda item: item >= items - slow, workers)
    assert sorted(ordered) == given
    left, began = list(ordered), []
    for worker in range(workers):  # as the scheduler deals them out
        share = left[: len(left) // (workers - worker)]
        del left[: len(share)]
        kinds = [item >= items - slow for item in share]
        assert kinds == sorted(kinds, reverse=True)
        began.append(sum(kinds))
    assert max(began) - min(began) <= 1
