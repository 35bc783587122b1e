"""Repositories: classes whose methods are functions over a database connection, made asynchronous.

    class Launches(Repository):
        @reads
        def find(self, c: Connection, launch_id: str) -> Launch | None: ...

    launch = await ledger.launches.find(launch_id)

Every method raises `LedgerUnavailable` when the database cannot be used. A transaction over several subjects
calls functions of their modules with the same connection `c`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Update, update

from connector.domain.lease import Lease
from connector.errors import Conflict
from connector.ledger.access.secrets import Keys
from connector.ledger.db.database import Database
from connector.ledger.db.schema.runtime import lane

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
    """Run a method as a query, in a thread."""

    @wraps(query)
    async def method(self: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.db.read(lambda c: query(self, c, *args, **kwargs))

    return method


def glances(query: _Body[R, P, T]) -> _Method[R, P, T]:
    """Run a method as a query of a few rows by key, on SQLite without a thread."""

    @wraps(query)
    async def method(self: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.db.glance(lambda c: query(self, c, *args, **kwargs))

    return method


def writes(work: _Body[R, P, T]) -> _Method[R, P, T]:
    """Run a method as a transaction of its own. It may run more than once, and returns after the commit.

    The owner of a lane, who gives its lease, waits for the commit as long as it takes.
    """

    @wraps(work)
    async def method(self: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        owns_lane = any(isinstance(value, Lease) for value in (*args, *kwargs.values()))
        return await self.db.write(lambda c: work(self, c, *args, **kwargs), patient=owns_lane)

    return method


def fenced(work: _Body[R, P, T]) -> Callable[Concatenate[R, Lease | None, P], Coroutine[Any, Any, T]]:
    """Run a method as a transaction of a lane's owner, or with None of no lane.

    Raises `Conflict` when the lease was lost.
    """

    @wraps(work)
    def within(self: R, c: Connection, lease: Lease | None, /, *args: P.args, **kwargs: P.kwargs) -> T:
        fence(c, lease)
        return work(self, c, *args, **kwargs)

    return writes(within)


def fence(c: Connection, lease: Lease | None, *, paced_until: int | None = None) -> None:
    """Check that a lane has no newer owner. Raises `Conflict` when it has."""
    if lease is None:
        return
    paced = lane.c.paced_until if paced_until is None else paced_until
    if not c.execute(owned(lease).values(paced_until=paced)).rowcount:
        raise Conflict("Another process works this lane now.", code="lease_lost")


def owned(lease: Lease) -> Update:
    """Begin an update of a lane that changes nothing once the lease was lost."""
    return update(lane).where(lane.c.name == lease.lane, lane.c.token == lease.token)
