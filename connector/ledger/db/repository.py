"""The two ways to the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
Work = Callable[[Connection], T]


class Store(Protocol):
    """What runs work against the database."""

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction; return after its commit."""
        ...

    async def read(self, query: Work[T]) -> T:
        """Return what a query finds."""
        ...

    def empty_log(self) -> None:
        """Let what was erased leave the database's log too, soon."""
        ...
