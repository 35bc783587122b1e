"""Hooks as the rest of the connector sees them (`hooks.Hooks`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from connector.domain.events.event import (
    DeliveryOutcome,
    Event,
    EventType,
    Hook,
    HookDelivery,
)
from connector.domain.lease import Lease
from connector.ledger.access.secrets import Open, Seal
from connector.ledger.db.bulk import BulkStatement
from connector.ledger.db.repository import Store
from connector.ledger.db.schema import event, hook, hook_delivery
from connector.ledger.runtime import leases
from connector.text.json import loads

_HOOK = (hook.c.id, hook.c.connection, hook.c.event, hook.c.target_url, hook.c.created_at)
_EVENT = (
    event.c.number,
    event.c.id,
    event.c.type,
    event.c.connection,
    event.c.at,
    event.c.subject,
    event.c.told,
)
_SETTLE = BulkStatement(
    "UPDATE hook_delivery SET state = r.state, outcome = r.outcome, due = r.due, updated_at = r.now, "
    "tries = hook_delivery.tries + 1 FROM {rows} AS r WHERE hook_delivery.number = r.number",
    {"number": "bigint", "state": "text", "outcome": "text", "due": "bigint", "now": "bigint"},
)


class HookBook:
    """`hooks.Hooks` on the book's tables."""

    def __init__(self, store: Store, seal: Seal, unseal: Open) -> None:
        self._store = store
        self._seal = seal
        self._unseal = unseal

    async def subscribe(self, one: Hook, secret: str) -> tuple[Hook, str]:
        """Store a subscription, or return the one that is there."""
        sealed = self._seal(secret.encode()).decode("ascii")
        same = and_(
            hook.c.connection == one.connection,
            hook.c.event == one.event,
            hook.c.target_url == one.target_url,
        )

        def work(c: Connection) -> tuple[Hook, str]:
            found = c.execute(select(*_HOOK, hook.c.secret).where(same)).first()
            if found is None:
                c.execute(insert(hook).values(**one._asdict(), secret=sealed))
                return one, secret
            return _hook(found), self._opened(found.secret)

        return await self._store.write(work)

    async def listed(self, connections: Sequence[str], target_url: str | None) -> list[Hook]:
        """Return subscriptions, oldest first."""
        query = select(*_HOOK).where(hook.c.connection.in_(connections))
        if target_url is not None:
            query = query.where(hook.c.target_url == target_url)
        query = query.order_by(hook.c.created_at, hook.c.id)
        return [_hook(row) for row in await self._store.read(lambda c: c.execute(query).all())]

    async def unsubscribe(
        self, connections: Sequence[str], *, hook_id: str | None, target_url: str | None
    ) -> int:
        """Delete subscriptions, with what waits for them."""
        which = hook.c.id == hook_id if hook_id is not None else hook.c.target_url == target_url
        mine = and_(hook.c.connection.in_(connections), which)

        def work(c: Connection) -> int:
            gone = select(hook.c.id).where(mine)
            c.execute(delete(hook_delivery).where(hook_delivery.c.hook_id.in_(gone)))
            return c.execute(delete(hook).where(mine)).rowcount

        return await self._store.write(work)

    async def events(self, connections: Sequence[str], kind: EventType, limit: int) -> list[Event]:
        """Return the newest events of a type."""
        query = select(*_EVENT).where(event.c.connection.in_(connections), event.c.type == kind)
        query = query.order_by(event.c.number.desc()).limit(limit)
        return [_event(row) for row in await self._store.read(lambda c: c.execute(query).all())]

    async def due(self, now: int) -> list[tuple[Hook, str]]:
        """Return the subscriptions to which something is due."""
        waiting = select(hook_delivery.c.hook_id).where(hook_delivery.c.due <= now).distinct()
        query = select(*_HOOK, hook.c.secret).where(hook.c.id.in_(waiting))
        rows = await self._store.read(lambda c: c.execute(query).all())
        return [(_hook(row), self._opened(row.secret)) for row in rows]

    async def next_due(self) -> int | None:
        """Return when the next delivery is due."""
        due: int | None = await self._store.read(
            lambda c: c.execute(select(func.min(hook_delivery.c.due))).scalar()
        )
        return due

    async def due_for(self, hook_id: str, now: int, limit: int) -> list[HookDelivery]:
        """Return what is due to one subscription."""
        mine = and_(hook_delivery.c.hook_id == hook_id, hook_delivery.c.due <= now)
        return await self._read(mine, hook_delivery.c.number, limit)

    async def settle(self, lease: Lease, settled: Sequence[DeliveryOutcome], now: int) -> None:
        """Store what became of tries."""
        rows = [(one.number, one.state, one.outcome, one.due, now) for one in settled]

        def work(c: Connection) -> None:
            leases.fence(c, lease)
            _SETTLE.execute(c, rows)

        if rows:
            await self._store.write(work)

    async def deliveries(self, connections: Sequence[str], hook_id: str, limit: int) -> list[HookDelivery]:
        """Return the newest deliveries of a subscription."""
        ours = select(hook.c.id).where(hook.c.connection.in_(connections), hook.c.id == hook_id)
        return await self._read(hook_delivery.c.hook_id.in_(ours), hook_delivery.c.number.desc(), limit)

    async def replay(self, connections: Sequence[str], hook_id: str, now: int) -> int:
        """Let failed deliveries be tried again."""
        ours = select(hook.c.id).where(hook.c.connection.in_(connections), hook.c.id == hook_id)
        failed = update(hook_delivery).where(
            hook_delivery.c.hook_id.in_(ours), hook_delivery.c.state == "failed"
        )
        again = failed.values(state="waiting", due=now, tries=0)
        return await self._store.write(lambda c: c.execute(again).rowcount)

    async def _read(self, mine: ColumnElement[bool], order: Any, limit: int) -> list[HookDelivery]:
        query = (
            select(hook_delivery, *(column.label(f"e_{column.name}") for column in _EVENT))
            .join(event, event.c.number == hook_delivery.c.event_number)
            .where(mine)
            .order_by(order)
            .limit(limit)
        )
        return [
            HookDelivery(
                row.number,
                row.hook_id,
                _event([getattr(row, f"e_{column.name}") for column in _EVENT]),
                row.state,
                row.tries,
                row.outcome,
                row.updated_at,
            )
            for row in await self._store.read(lambda c: c.execute(query).all())
        ]

    def _opened(self, sealed: str) -> str:
        return self._unseal(sealed.encode("ascii")).decode()


def _hook(row: Any) -> Hook:
    return Hook(row.id, row.connection, EventType(row.event), row.target_url, row.created_at)


def _event(row: Any) -> Event:
    number, event_id, kind, connection, at, subject, told = row
    return Event(number, event_id, EventType(kind), connection, at, subject, loads(told))
