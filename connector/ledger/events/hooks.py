"""Hooks: subscriptions to events, and the deliveries to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, insert, select, update
from sqlalchemy.sql.functions import count

from connector.domain.events.event import DeliveryOutcome, Event, EventType, Hook, HookDelivery
from connector.errors import Conflict, Unauthenticated
from connector.ledger.db.bulk import BulkStatement
from connector.ledger.db.dialect import lock_hooks
from connector.ledger.db.queries import earliest
from connector.ledger.db.repository import Repository, fenced, reads, writes
from connector.ledger.db.schema.events import event, hook, hook_delivery
from connector.ledger.events.events import in_order
from connector.ledger.events.ownership import end_hooks, is_live
from connector.text.json import loads

_HOOK = tuple(hook.c[name] for name in Hook._fields)
_EVENT = tuple(event.c[name] for name in Event._fields)
_DELIVERY = tuple(hook_delivery.c[name] for name in HookDelivery._fields if name != "event")
_LOCK = BulkStatement(
    "SELECT {returns} FROM {rows} AS r JOIN hook_delivery AS s ON s.number = r.number {lock}",
    {"number": "bigint"},
    returns=["s.number"],
    lock="s.number",
)
_SETTLE = BulkStatement(
    "UPDATE hook_delivery SET state = r.state, outcome = r.outcome, due = r.due, updated_at = r.now, "
    "tries = hook_delivery.tries + 1 FROM {rows} AS r WHERE hook_delivery.number = r.number",
    {"number": "bigint", "state": "text", "outcome": "text", "due": "bigint", "now": "bigint"},
)


MOST = 100
"""Subscriptions of a connection."""


class Hooks(Repository):
    """Subscriptions and deliveries."""

    @writes
    def subscribe(self, c: Connection, new: Hook, secret: str) -> tuple[Hook, str]:
        """Store a subscription; one of the same target, event and connection stays.

        Of another token it becomes this one's, with a new secret: that one may be revoked soon.

        Raises `Conflict` when the connection has `MOST` others, and `Unauthenticated` when the token that
        makes it was revoked meanwhile.
        """
        if not is_live(c, new.token):
            raise Unauthenticated("The token was revoked.")
        lock_hooks(c)
        same = (getattr(hook.c, name) == getattr(new, name) for name in ("connection", "event", "target_url"))
        row = c.execute(select(*_HOOK, hook.c.secret).where(*same)).first()
        if row is not None:
            if row.token == new.token:
                return _hook(row), self.keys.open(row.secret)
            owned = {"token": new.token, "secret": self.keys.seal(secret)}
            c.execute(update(hook).where(hook.c.id == row.id).values(**owned))
            return _hook(row)._replace(token=new.token), secret
        others = select(count()).select_from(hook).where(hook.c.connection == new.connection)
        if c.execute(others).scalar_one() >= MOST:
            raise Conflict(
                f"The connection has {MOST} subscriptions; end one of them first (GET /hooks shows them).",
                code="too_many_subscriptions",
            )
        c.execute(insert(hook).values(**new._asdict(), secret=self.keys.seal(secret)))
        return new, secret

    @reads
    def listed(self, c: Connection, connections: Sequence[str], target_url: str | None) -> list[Hook]:
        """Return subscriptions of connections, oldest first, all or those of a target."""
        query = select(*_HOOK).where(hook.c.connection.in_(connections))
        if target_url is not None:
            query = query.where(hook.c.target_url == target_url)
        return [_hook(row) for row in c.execute(query.order_by(hook.c.created_at, hook.c.id))]

    @writes
    def unsubscribe(
        self, c: Connection, connections: Sequence[str], *, hook_id: str | None, target_url: str | None
    ) -> int:
        """Delete subscriptions of connections by id or by target, with their deliveries; return how many."""
        which = hook.c.id == hook_id if hook_id is not None else hook.c.target_url == target_url
        return end_hooks(c, hook.c.connection.in_(connections), which)

    @reads
    def events(self, c: Connection, connections: Sequence[str], kind: EventType, limit: int) -> list[Event]:
        """Return the newest events of a type, newest first."""
        query = select(*_EVENT).where(event.c.connection.in_(connections), event.c.type == kind)
        return [load_event(row) for row in c.execute(query.order_by(event.c.number.desc()).limit(limit))]

    @reads
    def due(self, c: Connection, now: int) -> list[tuple[Hook, str]]:
        """Return the subscriptions that have a delivery due, with their sealed secrets."""
        waiting = select(hook_delivery.c.hook_id).where(hook_delivery.c.due <= now).distinct()
        rows = c.execute(select(*_HOOK, hook.c.secret).where(hook.c.id.in_(waiting)))
        return [(_hook(row), row.secret) for row in rows]

    @reads
    def next_due(self, c: Connection) -> int | None:
        """Return when the next delivery is due (ms)."""
        return earliest(c, hook_delivery.c.due)

    @reads
    def due_for(self, c: Connection, hook_id: str, now: int, limit: int) -> list[HookDelivery]:
        """Return the due deliveries of one subscription, in the order of their events."""
        are_due = and_(hook_delivery.c.hook_id == hook_id, hook_delivery.c.due <= now)
        return _deliveries(c, are_due, hook_delivery.c.number, limit)

    @fenced
    def settle(self, c: Connection, outcomes: Mapping[int, DeliveryOutcome], now: int) -> None:
        """Store outcomes by the number of the delivery. Raises `Conflict` when the lease was lost."""
        _LOCK.fetch(c, [(number,) for number in outcomes])
        _SETTLE.execute(c, [(number, *made, now) for number, made in outcomes.items()])

    @reads
    def deliveries(
        self, c: Connection, connections: Sequence[str], hook_id: str, limit: int
    ) -> list[HookDelivery]:
        """Return the newest deliveries of a subscription, newest first."""
        of_hook = hook_delivery.c.hook_id.in_(_hook_ids(connections, hook_id))
        return _deliveries(c, of_hook, hook_delivery.c.number.desc(), limit)

    @writes
    def replay(self, c: Connection, connections: Sequence[str], hook_id: str, now: int) -> int:
        """Let failed deliveries of a subscription be tried again; return how many."""
        of_hook = hook_delivery.c.hook_id.in_(_hook_ids(connections, hook_id))
        failed = update(hook_delivery).where(in_order(of_hook & (hook_delivery.c.state == "failed")))
        return c.execute(failed.values(state="waiting", due=now, tries=0)).rowcount


def _hook_ids(connections: Sequence[str], hook_id: str) -> Select[tuple[str]]:
    return select(hook.c.id).where(hook.c.connection.in_(connections), hook.c.id == hook_id)


def _deliveries(c: Connection, which: ColumnElement[bool], order: Any, limit: int) -> list[HookDelivery]:
    joined = select(*_DELIVERY, *_EVENT).join(event, event.c.number == hook_delivery.c.event_number)
    return [
        HookDelivery(number, hook_id, load_event(of), state, tries, outcome, updated_at)
        for number, hook_id, state, tries, outcome, updated_at, *of in c.execute(
            joined.where(which).order_by(order).limit(limit)
        )
    ]


def _hook(row: Any) -> Hook:
    return Hook(row.id, row.connection, EventType(row.event), row.target_url, row.created_at, row.token)


def load_event(row: Any) -> Event:
    """Return the event of a row with the columns of its fields."""
    number, event_id, kind, connection, at, subject, facts = row
    return Event(number, event_id, EventType(kind), connection, at, subject, loads(facts))
