"""Counters of interviews by connection, day of first receipt, status and reason: no progress scans syncs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from connector.ledger.db.bulk import BulkStatement, types_of
from connector.ledger.db.repository import Repository, glances
from connector.ledger.db.schema.results import counter

_DAY = 86_400_000  # ms
_ADD = BulkStatement(
    "INSERT INTO counter ({names}) SELECT {names} FROM {rows} AS r WHERE true "
    "ON CONFLICT (connection, day, status, reason) DO UPDATE SET n = counter.n + excluded.n",
    types_of(counter, "connection", "day", "status", "reason", "n"),
)
# made once, because making it takes six times as long as running it
_TOTALS = (
    select(counter.c.status, counter.c.reason, func.sum(counter.c.n))
    .where(counter.c.connection == bindparam("connection"))
    .group_by(counter.c.status, counter.c.reason)
)


class Place(NamedTuple):
    """The counter of one interview."""

    connection: str
    day: int
    status: str
    reason: str

    @classmethod
    def of(cls, connection: str, first_received_at: int, status: str, reason: str | None) -> Place:
        """Return the counter of a sync."""
        return cls(connection, first_received_at // _DAY, str(status), reason or "")


def move(c: Connection, moves: Iterable[tuple[Place | None, Place]]) -> None:
    """Count interviews that moved from one counter (None for a new interview) to another."""
    change: Counter[Place] = Counter()
    for was, now in moves:
        if was != now:
            change[now] += 1
            if was is not None:
                change[was] -= 1
    # sorted, so that two processes lock the rows in the same order
    values = [(*place, n) for place, n in sorted(change.items()) if n]
    if values:
        _ADD.execute(c, values)


class Counters(Repository):
    """The counters of connections."""

    @glances
    def totals(self, c: Connection, connection: str) -> dict[tuple[str, str], int]:
        """Return the number of interviews of a connection by (status, reason)."""
        rows = c.execute(_TOTALS, {"connection": connection})
        return {(status, reason): int(n) for status, reason, n in rows if n}

    @glances
    def since(self, c: Connection, connection: str, day: int) -> dict[tuple[int, str, str], int]:
        """Return the interviews that first came in on a UTC day or later, by (day, status, reason)."""
        query = select(counter.c.day, counter.c.status, counter.c.reason, counter.c.n)
        rows = c.execute(query.where(counter.c.connection == connection, counter.c.day >= day))
        return {(on, status, reason): int(n) for on, status, reason, n in rows if n}
