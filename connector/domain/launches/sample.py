"""Draw a fair sample of a cohort in one pass: each person has the same chance, whatever the order."""

from __future__ import annotations

import hashlib
from heapq import heappush, heapreplace
from typing import Literal, NamedTuple

Method = Literal["random", "first"]
"""`random` draws; `first` takes people in the cohort's order."""


class Draws:
    """The draws of people by a seed: evenly spread 64-bit numbers, of which a sample takes the smallest."""

    def __init__(self, seed: str) -> None:
        key = hashlib.blake2b(seed.encode("utf-8", "replace"), digest_size=32).digest()
        self._keyed = hashlib.blake2b(digest_size=8, key=key)

    def of(self, keys: tuple[int, ...]) -> int:
        """Return the draw of a person with these alias keys.

        It is that of the e-mail where there is one: rows of a cohort share an e-mail more often than a user
        id, and rows of one person must have one draw.
        """
        drawn = self._keyed.copy()
        drawn.update(keys[:2][-1].to_bytes(8, "big", signed=True))
        return int.from_bytes(drawn.digest(), "big", signed=True)


class Holdout(NamedTuple):
    """A share of people who are never invited, drawn by a seed that stays the same."""

    percent: int
    seed: str

    def holds(self, keys: tuple[int, ...]) -> bool:
        """Tell whether a person is held out. A larger share holds out the same people, and more."""
        return (Draws(self.seed).of(keys) + 2**63) * 100 < self.percent * 2**64


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
