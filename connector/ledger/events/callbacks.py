"""Callbacks that are not posted yet. Their addresses are sealed: knowing one is enough to post to it."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update

from connector.domain.events.callback import Callback
from connector.ledger.db.queries import earliest, insert_once
from connector.ledger.db.repository import Repository, fenced, reads, writes
from connector.ledger.db.schema.events import callback


class Callbacks(Repository):
    """Callbacks that are not posted yet. Methods that take a lease raise `Conflict` when it was lost."""

    @writes
    def add(self, c: Connection, new: Callback) -> None:
        """Store a callback; one of the same id stays as it is."""
        insert_once(c, callback, **new._replace(target_url=self.keys.seal(new.target_url))._asdict())

    @reads
    def due(self, c: Connection, now: int, limit: int) -> list[Callback]:
        """Return callbacks that are due, the longest due first; their addresses are sealed."""
        query = select(callback).where(callback.c.due <= now).order_by(callback.c.due).limit(limit)
        return [Callback(**row) for row in c.execute(query).mappings()]

    @reads
    def next_due(self, c: Connection) -> int | None:
        """Return when the next callback is due (ms)."""
        return earliest(c, callback.c.due)

    @fenced
    def later(self, c: Connection, tried: Callback) -> None:
        """Store when a callback is due again, and its attempts so far."""
        values = {"due": tried.due, "ready_at": tried.ready_at, "tries": tried.tries}
        c.execute(update(callback).where(callback.c.id == tried.id).values(values))

    @fenced
    def end(self, c: Connection, callback_id: str) -> None:
        """Delete a callback that was posted or given up, with its address."""
        c.execute(delete(callback).where(callback.c.id == callback_id))
