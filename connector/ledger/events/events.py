"""Store events in the transaction that makes them true, with a delivery for every subscription."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select, update

from connector.domain.events.event import EventType
from connector.domain.launches.launch import APPROVAL
from connector.domain.results.anonymity import day_of
from connector.domain.results.decision import ANONYMOUS
from connector.domain.results.interview import SyncStatus
from connector.ledger.db.bulk import BulkStatement, types_of
from connector.ledger.db.queries import number_in_day
from connector.ledger.db.schema.events import event, hook_delivery
from connector.text.json import dumps

_INSERT = BulkStatement(
    "INSERT INTO event ({names}) SELECT {names} FROM {rows} AS r",
    types_of(event, "id", "type", "connection", "at", "subject", "payload", "alert"),
)
_DELIVER = BulkStatement(
    "INSERT INTO hook_delivery (hook_id, event_number, state, tries, due, updated_at) "
    "SELECT h.id, e.number, 'waiting', 0, e.at, e.at FROM {rows} AS r JOIN event AS e ON e.id = r.id "
    "JOIN hook AS h ON h.connection = e.connection AND h.event = e.type",
    {"id": "text"},
)
_OF_INTERVIEW = types_of(event, "connection", "subject")
_ROUND = BulkStatement(
    "UPDATE event SET at = event.at / 86400000 * 86400000 FROM {rows} AS r "
    "WHERE event.connection = r.connection AND event.subject = r.subject",
    _OF_INTERVIEW,
)
_ROUND_DELIVERIES = BulkStatement(
    "UPDATE hook_delivery SET updated_at = updated_at / 86400000 * 86400000 WHERE number IN "
    "(SELECT s.number FROM {rows} AS r JOIN event AS e ON e.connection = r.connection "
    "AND e.subject = r.subject JOIN hook_delivery AS s ON s.event_number = e.number {lock})",
    _OF_INTERVIEW,
    lock="s.number",
)
_WAITS = exists().where(hook_delivery.c.event_number == event.c.number, hook_delivery.c.due.is_not(None))
_OF_STATUS = {
    SyncStatus.SYNCED: EventType.INTERVIEW_SYNCED,
    SyncStatus.SKIPPED: EventType.INTERVIEW_SKIPPED,
    SyncStatus.FAILED: EventType.SYNC_FAILED,
}
_ALERTS = frozenset(
    {
        EventType.SYNC_FAILED,
        EventType.LAUNCH_FINISHED,
        EventType.CONNECTION_PAUSED,
        EventType.CONNECTION_RESUMED,
    }
)


class Happened(NamedTuple):
    """An event that is not stored yet."""

    type: EventType
    connection: str
    at: int  # ms
    subject: str
    payload: Mapping[str, Any]

    @property
    def alert(self) -> bool | None:
        """Tell whether the owner is alerted; None, which no index holds, if not."""
        return self.type in _ALERTS or self.payload.get("pause_reason") == APPROVAL or None


def of_sync(
    connection: str,
    interview_id: str,
    before: tuple[str, str | None] | None,
    status: str,
    reason: str | None,
    at: int,
) -> list[Happened]:
    """Return the event of a sync that ended, unless its status and reason were the same before (`was`)."""
    kind = _OF_STATUS.get(SyncStatus(status))
    if kind is None or before == (status, reason):
        return []
    # a time finer than a day could tell which person answered
    at = day_of(at) if reason == ANONYMOUS else at
    return [Happened(kind, connection, at, interview_id, {"reason": reason})]


def to_the_day(c: Connection, keys: Sequence[tuple[str, ...]]) -> None:
    """Round the times of events and of their deliveries to the day, by (connection, subject)."""
    if not keys:
        return
    _ROUND.execute(c, keys)
    _ROUND_DELIVERIES.execute(c, keys)


def prune(c: Connection, before: int, limit: int) -> int:
    """Delete old events without waiting deliveries, and their deliveries; return how many events."""
    oldest = select(event.c.number).where(event.c.at < before, ~_WAITS).order_by(event.c.number).limit(limit)
    numbers = c.execute(oldest.with_for_update(skip_locked=True)).scalars().all()
    c.execute(delete(hook_delivery).where(in_order(hook_delivery.c.event_number.in_(numbers))))
    return c.execute(delete(event).where(event.c.number.in_(numbers))).rowcount


def hide_order(c: Connection, before: int, limit: int) -> int:
    """Take from events of days before `before` that were rounded what tells their order; return how many.

    Every poll saw them by then. Their deliveries, which are numbered too, go. The newest event stays: SQLite
    would give its number again.
    """
    newest = select(func.max(event.c.number)).scalar_subquery()
    is_rounded = event.c.number.between(1, newest - 1), event.c.at % 86_400_000 == 0
    query = select(event.c.number, event.c.at).where(
        *is_rounded, event.c.at < before, event.c.alert.is_(None), ~_WAITS
    )
    # in random order: PostgreSQL shows in which one the rows were written
    rows = c.execute(query.order_by(func.random()).limit(limit)).all()
    numbers = [row.number for row in rows]
    c.execute(delete(hook_delivery).where(in_order(hook_delivery.c.event_number.in_(numbers))))
    for number, at in rows:
        c.execute(update(event).where(event.c.number == number).values(number=number_in_day(at)))
    return len(rows)


def in_order(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a condition for the same deliveries that locks them in the order of their numbers."""
    number = hook_delivery.c.number
    return number.in_(select(number).where(which).order_by(number).with_for_update())


def tell(c: Connection, happened: Sequence[Happened]) -> None:
    """Store events, and a delivery of each for every subscription."""
    if not happened:
        return
    ids = [f"evt_{secrets.token_hex(12)}" for _ in happened]
    rows = [
        (event_id, new.type.value, new.connection, new.at, new.subject, dumps(dict(new.payload)), new.alert)
        for event_id, new in zip(ids, happened, strict=True)
    ]
    _INSERT.execute(c, rows)
    # on the driver, because it runs for every batch of webhooks
    if c.exec_driver_sql("SELECT 1 FROM hook LIMIT 1").first() is not None:
        _DELIVER.execute(c, [(event_id,) for event_id in ids])
