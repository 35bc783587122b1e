"""Callbacks that are not posted yet. Their addresses are sealed: knowing one is enough to post to it."""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy import Connection, delete, func, select, update

from connector.domain.events.callback import Callback
from connector.ledger.db.queries import earliest, insert_once
from connector.ledger.db.repository import Repository, fenced, reads, writes
from connector.ledger.db.schema.events import callback
from connector.ledger.events.ownership import is_live
from connector.net.target_client import encoded

OF_HOST, OF_CALLER = 4, 12
"""The callbacks of one caller that are served at a time: to one host, and to all."""


class Callbacks(Repository):
    """Callbacks that are not posted yet. Methods that take a lease raise `Conflict` when it was lost."""

    @writes
    def add(self, c: Connection, new: Callback) -> None:
        """Store a callback, unless its token was revoked meanwhile; one of the same id stays as it is."""
        if is_live(c, new.token):
            host = self.keys.keyed_hash(urlsplit(encoded(new.target_url)).netloc)
            sealed = new._replace(target_url=self.keys.seal(new.target_url), host=host)
            insert_once(c, callback, **sealed._asdict())

    @reads
    def due(self, c: Connection, now: int, limit: int) -> list[Callback]:
        """Return callbacks that are due, each caller's longest due first; their addresses are sealed.

        They are the longest due of each caller's host, and of each caller. As one stays due while it is
        served, no more are served at a time.
        """
        one = callback.c
        of_host = func.row_number().over(partition_by=(one.token, one.host), order_by=(one.due, one.id))
        few = select(one.id, one.token, one.due, of_host.label("n")).where(one.due <= now).subquery()
        of_caller = func.row_number().over(partition_by=few.c.token, order_by=(few.c.due, few.c.id))
        fewer = select(few.c.id, of_caller.label("n")).where(few.c.n <= OF_HOST).subquery()
        query = select(callback).join(fewer, fewer.c.id == one.id).where(fewer.c.n <= OF_CALLER)
        rows = c.execute(query.order_by(fewer.c.n, one.due, one.id).limit(limit))
        return [Callback(**row) for row in rows.mappings()]

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
