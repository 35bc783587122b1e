"""Callbacks as the rest of the connector sees them (`callbacks.Callbacks`)."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert_postgres
from sqlalchemy.dialects.sqlite import insert as upsert_sqlite

from connector.domain.events.callback import Callback
from connector.domain.lease import Lease
from connector.ledger.access.secrets import Open, Seal
from connector.ledger.db.repository import Store
from connector.ledger.db.schema import callback
from connector.ledger.runtime import leases


class CallbackBook:
    """`callbacks.Callbacks` on the book's tables; the address is sealed, because whoever has it may post."""

    def __init__(self, store: Store, seal: Seal, unseal: Open) -> None:
        self._store = store
        self._seal = seal
        self._unseal = unseal

    async def add(self, one: Callback) -> None:
        """Store a callback, unless it is there."""
        sealed = self._seal(one.target_url.encode()).decode("ascii")

        def work(c: Connection) -> None:
            insert = upsert_sqlite if c.dialect.name == "sqlite" else upsert_postgres
            fresh = insert(callback).values(**{**one._asdict(), "target_url": sealed})
            c.execute(fresh.on_conflict_do_nothing())

        await self._store.write(work)

    async def due(self, now: int, limit: int) -> list[Callback]:
        """Return callbacks that are due."""
        query = select(callback).where(callback.c.due <= now).order_by(callback.c.due).limit(limit)
        rows = await self._store.read(lambda c: c.execute(query).mappings().all())
        return [Callback(**{**row, "target_url": self._opened(row["target_url"])}) for row in rows]

    async def next_due(self) -> int | None:
        """Return when the next one is due."""
        query = select(func.min(callback.c.due))
        due: int | None = await self._store.read(lambda c: c.execute(query).scalar())
        return due

    async def later(self, lease: Lease, one: Callback) -> None:
        """Store when it is due again."""
        tried = {"due": one.due, "ready_at": one.ready_at, "tries": one.tries}

        def work(c: Connection) -> None:
            leases.fence(c, lease)
            c.execute(update(callback).where(callback.c.id == one.id).values(tried))

        await self._store.write(work)

    async def end(self, lease: Lease, callback_id: str) -> None:
        """Delete one."""

        def work(c: Connection) -> None:
            leases.fence(c, lease)
            c.execute(delete(callback).where(callback.c.id == callback_id))

        await self._store.write(work)

    def _opened(self, sealed: str) -> str:
        return self._unseal(sealed.encode("ascii")).decode()
