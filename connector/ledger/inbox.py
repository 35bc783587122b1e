"""What came in: webhooks, and what callers told us about an interview."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select, text, update

from connector.ledger.dialect import rows
from connector.ledger.schema import inbox
from connector.ports import Delivery

_COLUMNS = {
    "connection": "text",
    "received_at": "bigint",
    "source": "text",
    "state": "text",
    "event": "text",
    "interview_id": "text",
    "webhook_id": "text",
    "digest": "text",
    "body": "text",
    "header": "text",
    "scheme": "text",
    "signed_at": "bigint",
}


def accept(connection: Connection, deliveries: Sequence[Delivery]) -> list[bool]:
    """Store deliveries; return for each whether it was new.

    A delivery is known when its `webhook-id`, or its body and event name, was stored before on that connection.
    """
    known = _known(connection, deliveries)
    fresh: list[bool] = []
    batch: list[tuple[Any, ...]] = []
    for delivery in deliveries:
        marks = [(delivery.connection, mark) for mark in (delivery.webhook_id, delivery.digest) if mark]
        new = not any(mark in known for mark in marks)
        fresh.append(new)
        if new:
            known.update(marks)
            batch.append(_row(delivery))
    if batch:
        names = ", ".join(_COLUMNS)
        connection.execute(
            text(
                f"INSERT INTO inbox ({names}) SELECT {names} FROM {rows(connection.dialect.name, _COLUMNS)} AS r "  # noqa: S608
                "WHERE true ON CONFLICT DO NOTHING"
            ),
            {"rows": json.dumps(batch)},
        )
    return fresh


def _row(delivery: Delivery) -> tuple[Any, ...]:
    return (
        delivery.connection,
        delivery.received_at,
        delivery.source,
        delivery.state,
        delivery.event,
        delivery.interview_id,
        delivery.webhook_id,
        delivery.digest,
        delivery.body,
        delivery.header,
        delivery.scheme,
        delivery.signed_at,
    )


def _known(connection: Connection, deliveries: Sequence[Delivery]) -> set[tuple[str, str]]:
    known: set[tuple[str, str]] = set()
    for column in ("digest", "webhook_id"):
        marks = [(d.connection, getattr(d, column)) for d in deliveries if getattr(d, column)]
        if not marks:
            continue
        table = rows(connection.dialect.name, {"connection": "text", "mark": "text"})
        found = connection.execute(
            text(
                f"SELECT i.connection, i.{column} FROM {table} AS r "  # noqa: S608
                f"JOIN inbox AS i ON i.connection = r.connection AND i.{column} = r.mark"
            ),
            {"rows": json.dumps(marks)},
        )
        known.update((row[0], row[1]) for row in found)
    return known


def take_new(connection: Connection, limit: int) -> list[Delivery]:
    """Return the oldest deliveries that were not looked at yet."""
    found = connection.execute(select(inbox).where(inbox.c.state == "new").order_by(inbox.c.id).limit(limit))
    return [_delivery(row) for row in found]


def mark(connection: Connection, ids: Sequence[int], state: str) -> None:
    """Set the state of deliveries."""
    if ids:
        table = rows(connection.dialect.name, {"id": "bigint"})
        connection.execute(
            text(f"UPDATE inbox SET state = :state WHERE id IN (SELECT id FROM {table} AS r)"),  # noqa: S608
            {"state": state, "rows": json.dumps([(i,) for i in ids])},
        )


def of_interview(connection: Connection, name: str, interview_id: str) -> list[Delivery]:
    """Return everything that came in about one interview, oldest first."""
    found = connection.execute(
        select(inbox)
        .where(inbox.c.connection == name, inbox.c.interview_id == interview_id)
        .order_by(inbox.c.id)
        .limit(200)
    )
    return [_delivery(row) for row in found]


def unreadable(connection: Connection, name: str, *, limit: int, before: int | None = None) -> list[Delivery]:
    """Return deliveries in which no interview id was found, newest first."""
    query = select(inbox).where(inbox.c.connection == name, inbox.c.state == "unreadable")
    if before is not None:
        query = query.where(inbox.c.id < before)
    return [_delivery(row) for row in connection.execute(query.order_by(inbox.c.id.desc()).limit(limit))]


def erase_bodies(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Remove what was sent about interviews; that something came, and when, stays."""
    if keys:
        table = rows(connection.dialect.name, {"connection": "text", "interview_id": "text"})
        connection.execute(
            text(
                f"UPDATE inbox SET body = NULL FROM {table} AS r "  # noqa: S608
                "WHERE inbox.connection = r.connection AND inbox.interview_id = r.interview_id"
            ),
            {"rows": json.dumps(keys)},
        )


def latest_webhook(connection: Connection, name: str) -> Delivery | None:
    """Return the newest accepted webhook of a connection."""
    row = connection.execute(
        select(inbox)
        .where(inbox.c.connection == name, inbox.c.source == "webhook")
        .order_by(inbox.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else _delivery(row)


def count_unreadable(connection: Connection, name: str) -> int:
    """Count deliveries in which no interview id was found."""
    return int(
        connection.execute(
            select(func.count()).select_from(inbox).where(inbox.c.connection == name, inbox.c.state == "unreadable")
        ).scalar_one()
    )


def reread(connection: Connection, ids: Sequence[int], found: dict[int, tuple[str | None, str]]) -> None:
    """Give deliveries back to the intake after an alias made their interview id readable."""
    for i in ids:
        event, interview_id = found[i]
        connection.execute(
            update(inbox).where(inbox.c.id == i).values(state="new", event=event, interview_id=interview_id)
        )


def prune(connection: Connection, before: int, limit: int) -> int:
    """Delete deliveries older than `before` that were dealt with; return how many."""
    ids = select(inbox.c.id).where(inbox.c.received_at < before, inbox.c.state != "new").limit(limit)
    return connection.execute(delete(inbox).where(inbox.c.id.in_(ids.scalar_subquery()))).rowcount


def _delivery(row: Any) -> Delivery:
    return Delivery(
        id=row.id,
        connection=row.connection,
        received_at=row.received_at,
        source=row.source,
        state=row.state,
        event=row.event,
        interview_id=row.interview_id,
        webhook_id=row.webhook_id,
        digest=row.digest,
        body=row.body,
        header=row.header,
        scheme=row.scheme,
        signed_at=row.signed_at,
    )
