"""The order in which workers run what was collected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def slow_first(items: Sequence[T], is_slow: Callable[[T], bool], workers: int) -> list[T]:
    """Let each of the even runs that the workers are given begin with its part of the slow items.

    The rest stays in its order, so that a file stays with one worker; what is left over at the end is quick.
    """
    slow = [item for item in items if is_slow(item)]
    rest = [item for item in items if not is_slow(item)]
    ordered: list[T] = []
    for worker in range(workers):
        share = (len(items) - len(ordered)) // (workers - worker)
        first = slow[worker::workers]
        quick = max(share - len(first), 0)
        ordered += first + rest[:quick]
        del rest[:quick]
    return ordered
