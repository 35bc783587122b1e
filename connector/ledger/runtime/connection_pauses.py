"""Pauses of connections: begun and ended in one transaction with their lane's pause, and announced once.

A worker ends its lane's pause before each attempt. The connection's pause stays until an attempt succeeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, select, update

from connector.domain.events.event import EventType
from connector.domain.launches.launch import AWAY, KOJI_UNREACHABLE
from connector.domain.lease import ConnectionPause, Pause
from connector.ledger.db.queries import insert_once
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.runtime import connection_pause as table
from connector.ledger.events import events
from connector.ledger.runtime import leases

UNREACHABLE_FOR: Final = 600_000
"""How long Koji must be unreachable before the pause is announced (ms)."""


class ConnectionPauses(Repository):
    """The pauses of connections."""

    @writes
    def begin(self, c: Connection, connections: Sequence[str], paused: Pause, now: int) -> None:
        """Pause a lane and the connections that use it."""
        begin(c, connections, paused, now)

    @writes
    def end(self, c: Connection, lane: str, connections: Sequence[str], now: int) -> bool:
        """End the pauses of a lane and its connections: a call was accepted. Tell whether the lane paused."""
        paused = leases.resume(c, lane)  # first, because `begin` also locks the lane first
        of_lane = table.c.upstream == _upstream(lane), table.c.connection.in_(connections)
        ended = c.execute(delete(table).where(*of_lane).returning(*table.c)).all()
        gone = [ConnectionPause(*row) for row in ended if row.announced]
        events.tell(c, [_happened(EventType.CONNECTION_RESUMED, pause, now) for pause in gone])
        return paused

    @reads
    def listed(self, c: Connection, connections: Sequence[str]) -> list[ConnectionPause]:
        """Return the pauses of connections, also those that are not announced yet."""
        rows = c.execute(
            select(table).where(table.c.connection.in_(connections)).order_by(*table.primary_key)
        )
        return [ConnectionPause(*row) for row in rows]


def begin(c: Connection, connections: Sequence[str], paused: Pause, now: int) -> None:
    """Pause a lane and the connections that use it; announce a pause once it is one for a person to know."""
    leases.pause(c, paused.lane, paused.until, paused.code, paused.message)
    upstream, away = _upstream(paused.lane), paused.code in AWAY
    reason = KOJI_UNREACHABLE if away else paused.code
    for name in sorted(connections):
        new = ConnectionPause(name, upstream, reason, now, announced=False)
        insert_once(c, table, **new._asdict())
        key = table.c.connection == name, table.c.upstream == upstream
        stored = ConnectionPause(*c.execute(select(table).where(*key).with_for_update()).one())
        if stored.reason == reason:
            new = new._replace(since=stored.since, announced=stored.announced)
        elif away:  # a refused key stays the reason: only a person can mend it
            continue
        if not new.announced and (not away or now - new.since >= UNREACHABLE_FOR):
            events.tell(c, [_happened(EventType.CONNECTION_PAUSED, new, now)])
            new = new._replace(announced=True)
        c.execute(update(table).where(*key).values(new._asdict()))


def _upstream(lane: str) -> str:
    return lane.partition(":")[0]


def _happened(kind: EventType, pause: ConnectionPause, now: int) -> events.Happened:
    facts = {"reason": pause.reason, "since": pause.since}
    return events.Happened(kind, pause.connection, now, pause.upstream, facts)
