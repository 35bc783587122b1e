"""Callbacks that are owed. Their addresses are sealed, because knowing one is enough to post to it."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert_postgres
from sqlalchemy.dialects.sqlite import insert as upsert_sqlite

from connector.domain.events.callback import Callback
from connector.ledger.db.repository import Repository, fenced, reads, writes
from connector.ledger.db.schema import callback


class Callbacks(Repository):
    """Callbacks that are still owed. Methods that take a lease raise `Conflict` when it was lost."""

    @writes
    def add(self, c: Connection, one: Callback) -> None:
        """Store a callback; one that is there already stays as it is."""
        insert = upsert_sqlite if c.dialect.name == "sqlite" else upsert_postgres
        values = {**one._asdict(), "target_url": self.keys.seal(one.target_url)}
        c.execute(insert(callback).values(**values).on_conflict_do_nothing())

    @reads
    def due(self, c: Connection, now: int, limit: int) -> list[Callback]:
        """Return callbacks that are due, the longest due first."""
        query = select(callback).where(callback.c.due <= now).order_by(callback.c.due).limit(limit)
        rows = c.execute(query).mappings()
        return [Callback(**{**row, "target_url": self.keys.open(row["target_url"])}) for row in rows]

    @reads
    def next_due(self, c: Connection) -> int | None:
        """Return when the next one is due (ms)."""
        due: int | None = c.execute(select(func.min(callback.c.due))).scalar()
        return due

    @fenced
    def later(self, c: Connection, one: Callback) -> None:
        """Store when one is due again, and how often it was tried since when."""
        tried = {"due": one.due, "ready_at": one.ready_at, "tries": one.tries}
        c.execute(update(callback).where(callback.c.id == one.id).values(tried))

    @fenced
    def end(self, c: Connection, callback_id: str) -> None:
        """Delete one with its address: it was posted, or is given up."""
        c.execute(delete(callback).where(callback.c.id == callback_id))
