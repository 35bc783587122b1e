"""Draw a fair sample of a cohort in one pass: each person has the same chance, whatever the order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from heapq import heappush, heapreplace
from typing import Literal, NamedTuple

from connector.domain.people.same_person import first_key

Method = Literal["random", "first"]
"""`random` draws; `first` takes people in the cohort's order."""


class Draws:
    """The draws of people by a seed: evenly spread 64-bit numbers, of which a sample takes the smallest."""

    def __init__(self, seed: str) -> None:
        key = hashlib.blake2b(seed.encode("utf-8", "replace"), digest_size=32).digest()
        self._keyed = hashlib.blake2b(digest_size=8, key=key)

    def of(self, keys: tuple[int, ...]) -> int:
        """Return the draw of a person with these alias keys; rows of one person must have one draw."""
        drawn = self._keyed.copy()
        drawn.update(first_key(keys).to_bytes(8, "big", signed=True))
        return int.from_bytes(drawn.digest(), "big", signed=True)


class Holdout(NamedTuple):
    """A share of people who are never invited, drawn by a seed that stays the same."""

    percent: int
    seed: str

    def holds(self, persons: Iterable[int]) -> bool:
        """Tell whether one of these persons is held out; a larger share holds out the same, and more."""
        draws = Draws(self.seed)
        return any((draws.of((person,)) + 2**63) * 100 < self.percent * 2**64 for person in persons)


class Smallest:
    """The smallest of the numbers that were added, at most `size` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[int] = []  # negated, so that the largest is at hand

    def add(self, number: int) -> int | None:
        """Add a number; return the number that has no place, which may be the same, or None."""
        heap = self._heap
        if len(heap) < self._size:
            heappush(heap, -number)
            return None
        if not heap or number >= -heap[0]:
            return number
        return -heapreplace(heap, -number)
