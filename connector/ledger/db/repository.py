"""Repositories: classes whose methods are functions over a database connection, made asynchronous.

    class Launches(Repository):
        @reads
        def find(self, c: Connection, launch_id: str) -> Launch | None: ...

    launch = await ledger.launches.find(launch_id)

All raise `StoreUnavailable` when the database cannot be used. What one transaction does with several
repositories stands in functions of their modules, over the same connection `c`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, update

from connector.domain.lease import Lease
from connector.errors import Conflict
from connector.ledger.access.secrets import Keys
from connector.ledger.db.database import Database
from connector.ledger.db.schema import lane

R = TypeVar("R", bound="Repository")
P = ParamSpec("P")
T = TypeVar("T")
_Body = Callable[Concatenate[R, Connection, P], T]
_Method = Callable[Concatenate[R, P], Coroutine[Any, Any, T]]


class Repository:
    """One subject of the ledger."""

    def __init__(self, db: Database, keys: Keys) -> None:
        self.db = db
        self.keys = keys


def reads(query: _Body[R, P, T]) -> _Method[R, P, T]:
    """Let a method read, in a thread."""

    @wraps(query)
    async def method(self: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.db.read(lambda c: query(self, c, *args, **kwargs))

    return method


def glances(query: _Body[R, P, T]) -> _Method[R, P, T]:
    """Let a method read a few rows by key, without a thread where that is possible."""

    @wraps(query)
    async def method(self: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.db.glance(lambda c: query(self, c, *args, **kwargs))

    return method


def writes(work: _Body[R, P, T]) -> _Method[R, P, T]:
    """Let a method write in a transaction of its own; it may run more than once, and returns once."""

    @wraps(work)
    async def method(self: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.db.write(lambda c: work(self, c, *args, **kwargs))

    return method


def fenced(work: _Body[R, P, T]) -> Callable[Concatenate[R, Lease | None, P], Coroutine[Any, Any, T]]:
    """Let a method write for the owner of a lane; with None, for no lane.

    Raises `Conflict` when the lease was lost.
    """

    @wraps(work)
    async def method(self: R, lease: Lease | None, /, *args: P.args, **kwargs: P.kwargs) -> T:
        def within(c: Connection) -> T:
            fence(c, lease)
            return work(self, c, *args, **kwargs)

        return await self.db.write(within)

    return method


def fence(c: Connection, lease: Lease | None, *, paced_until: int | None = None) -> None:
    """Refuse to go on when the lane has a newer owner. Raises `Conflict`."""
    if lease is None:
        return
    ours = update(lane).where(lane.c.name == lease.lane, lane.c.token == lease.token)
    paced = lane.c.paced_until if paced_until is None else paced_until
    if not c.execute(ours.values(paced_until=paced)).rowcount:
        raise Conflict("Another process works this lane now.", code="lease_lost")
