"""What came in: webhooks, and what callers told us about an interview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, delete, func, literal_column, select

from connector.domain.results.sync import InboundWebhook
from connector.ledger.access.secrets import Keys
from connector.ledger.db.bulk import BulkStatement, Row, fetch
from connector.ledger.db.database import Database
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema import inbox
from connector.ledger.results.recent import Recent

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
_REPEATED_COLUMNS = ("connection", "event", "interview_id", "webhook_id", "digest", "body")
_KEY = {"connection": "text", "interview_id": "text"}
_SHOWN = 200
_TAKEN = 16 * 1024 * 1024  # characters of bodies
_row = attrgetter(*_COLUMNS)
# as literals: a partial index is not used for a parameter
IS_NEW = inbox.c.state == literal_column("'new'")
IS_UNREADABLE = inbox.c.state == literal_column("'unreadable'")

_INSERT_NEW = "INSERT INTO inbox ({names}) SELECT {names} FROM {rows} AS r WHERE true ON CONFLICT DO NOTHING"
_INSERT = BulkStatement(_INSERT_NEW, _COLUMNS)
_INSERT_NUMBERED = BulkStatement(_INSERT_NEW, {"id": "bigint", **_COLUMNS})
_NUMBERS = (
    "SELECT nextval(pg_get_serial_sequence('inbox', 'id')) AS number FROM generate_series(1, %(n)s) "
    "ORDER BY number"
)
_MARK_DONE = BulkStatement(
    "UPDATE inbox SET state = 'done' WHERE id IN (SELECT id FROM {rows} AS r)", {"id": "bigint"}
)
_ERASE = BulkStatement(
    "UPDATE inbox SET body = NULL, received_at = inbox.received_at / 86400000 * 86400000, "
    "signed_at = inbox.signed_at / 86400000 * 86400000 FROM {rows} AS r "
    "WHERE inbox.connection = r.connection AND inbox.interview_id = r.interview_id "
    "AND inbox.state <> 'new' AND inbox.body IS NOT NULL",
    _KEY,
)
_REREAD_COLUMNS = {"id": "bigint", "event": "text", "interview_id": "text"}
_REREAD = BulkStatement(
    "UPDATE inbox SET state = 'new', event = r.event, interview_id = r.interview_id FROM {rows} AS r "
    "WHERE inbox.id = r.id AND inbox.state = 'unreadable'",
    _REREAD_COLUMNS,
)
_READABLE = BulkStatement(
    "SELECT {returns} FROM {rows} AS r JOIN inbox AS s ON s.id = r.id AND s.state = 'unreadable' {lock}",
    _REREAD_COLUMNS,
    returns=["s.id", "r.event", "r.interview_id"],
    lock="s.id",
)
_REPEATED = BulkStatement(
    "SELECT {returns} FROM {rows} AS r JOIN inbox AS s ON s.state = 'unreadable' "
    "AND s.connection = r.connection AND s.body = r.body "
    "AND (s.digest = r.digest OR s.webhook_id = r.webhook_id) {lock}",
    {name: _COLUMNS[name] for name in _REPEATED_COLUMNS},
    returns=["s.id", "r.event", "r.interview_id"],
    lock="s.id",
)
_repeated = attrgetter(*_REPEATED_COLUMNS)


def keyed(keys: Keys, delivery: InboundWebhook) -> InboundWebhook:
    """Return it with its digest hashed: it outlives the body, which could be guessed from it."""
    digest = delivery.digest
    return delivery if digest is None else delivery._replace(digest=keys.keyed_hash(digest))


def accept(c: Connection, deliveries: Sequence[InboundWebhook]) -> list[bool]:
    """Store deliveries; return for each whether it was new.

    A delivery is known when its `webhook-id`, or its body and event name, was stored before on that
    connection. One that was unreadable then and is readable now goes to the intake.
    """
    rows = [_row(delivery) for delivery in deliveries]
    one_writer = c.dialect.name == "sqlite"
    fresh = _insert(c, _INSERT, rows) if one_writer else _insert_by_key(c, deliveries, rows)
    repeated = [one for one, new in zip(deliveries, fresh, strict=True) if not new and one.state == "new"]
    if repeated:
        _give_back(c, _REPEATED.fetch(c, [_repeated(one) for one in repeated]))
    return fresh


def _give_back(c: Connection, found: Sequence[Row]) -> None:
    """Let the intake look at unreadable deliveries again, each an (id, event, interview id)."""
    if found:
        _REREAD.execute(c, [tuple(row) for row in found])


def _insert_by_key(c: Connection, deliveries: Sequence[InboundWebhook], rows: Sequence[Row]) -> list[bool]:
    """Insert in the order of the keys, numbered in the order of arrival.

    An insert of a key waits for another transaction that inserted it. Two that insert the same deliveries,
    each in an order of its own, would wait for each other.
    """
    numbers = c.exec_driver_sql(_NUMBERS, {"n": len(rows)}).scalars().all()
    first: dict[tuple[str, str | None], str | None] = {}
    keys: list[tuple[str, str, int]] = []
    for at, one in enumerate(deliveries):
        # of two bodies under one webhook-id the first to arrive is stored
        known = first.setdefault((one.connection, one.webhook_id), one.digest)
        keys.append((one.connection, (one.digest if one.webhook_id is None else known) or "", at))
    order = [at for _, _, at in sorted(keys)]
    stored = _insert(c, _INSERT_NUMBERED, [(numbers[at], *rows[at]) for at in order])
    return [new for _, new in sorted(zip(order, stored, strict=True))]


def _insert(c: Connection, statement: BulkStatement, rows: Sequence[Row]) -> list[bool]:
    """Insert all and count; only when some were known, find out which by inserting halves instead."""
    c.exec_driver_sql("SAVEPOINT before_insert")
    stored = statement.execute(c, rows)
    if stored in (0, len(rows)):
        c.exec_driver_sql("RELEASE SAVEPOINT before_insert")
        return [stored > 0] * len(rows)
    c.exec_driver_sql("ROLLBACK TO SAVEPOINT before_insert")
    middle = len(rows) // 2
    first, rest = rows[:middle], rows[middle:]
    return _insert(c, statement, first) + _insert(c, statement, rest)


def new_ones(c: Connection, connections: Sequence[str], limit: int) -> list[tuple[int, str, str]]:
    """Return id, connection and digest of deliveries that are new."""
    share = max(1, limit // max(1, len(connections)))
    return [
        (number, connection, digest)
        for connection in connections
        for number, digest in _new(c, connection, share)
    ]


def _new(c: Connection, connection: str, limit: int) -> list[tuple[int, str]]:
    length = func.coalesce(func.length(inbox.c.body), 0)
    query = select(inbox.c.id, inbox.c.digest, length).where(IS_NEW, inbox.c.connection == connection)
    oldest = fetch(c, query.order_by(inbox.c.id).limit(limit))
    before = accumulate((size for _, _, size in oldest), initial=0)
    return [
        (number, digest) for (number, digest, _), sum_ in zip(oldest, before, strict=False) if sum_ < _TAKEN
    ]


def mark_done(c: Connection, ids: Sequence[int]) -> None:
    """Note that deliveries were dealt with."""
    if ids:
        _MARK_DONE.execute(c, [(i,) for i in ids])


class Inbox(Repository):
    """What came in about interviews."""

    def __init__(self, db: Database, keys: Keys) -> None:
        super().__init__(db, keys)
        self._recent = Recent()

    async def accept(self, delivery: InboundWebhook) -> bool:
        """Store what came in; return whether it was new. Raises `StoreUnavailable` after 8 s or so."""
        delivery = keyed(self.keys, delivery)
        fresh = await self.db.accept(delivery)
        if fresh:
            self._recent.keep(delivery)
        return fresh

    async def take_new(self, connections: Sequence[str], limit: int) -> list[InboundWebhook]:
        """Return the oldest deliveries of connections that the intake did not look at yet.

        Each connection has its share, and of each there are as many as are not too long together.
        """
        found = await self.db.read(lambda c: new_ones(c, connections, limit))
        known = {
            number: one._replace(id=number)
            for number, connection, digest in found
            if (one := self._recent.take(connection, digest)) is not None
        }
        if unknown := [number for number, _, _ in found if number not in known]:
            query = _select_all().where(inbox.c.id.in_(unknown))
            known |= {one.id: one for one in await self.db.read(lambda c: _read(c, query))}
        return [known[number] for number, _, _ in found if number in known]

    @reads
    def received(self, c: Connection, connection: str, interview_id: str) -> list[InboundWebhook]:
        """Return what came in about one interview, oldest first, the newest 200."""
        newest = (
            _select_all()
            .where(inbox.c.connection == connection, inbox.c.interview_id == interview_id)
            .order_by(inbox.c.id.desc())
            .limit(_SHOWN)
        )
        return _read(c, newest)[::-1]

    @reads
    def unreadable(
        self, c: Connection, connection: str, *, limit: int, before: int | None = None
    ) -> list[InboundWebhook]:
        """Return deliveries in which no interview id was found, newest first."""
        query = _select_all().where(inbox.c.connection == connection, IS_UNREADABLE)
        if before is not None:
            query = query.where(inbox.c.id < before)
        return _read(c, query.order_by(inbox.c.id.desc()).limit(limit))

    @writes
    def reread(self, c: Connection, found: Mapping[int, tuple[str | None, str]]) -> None:
        """Give unreadable deliveries back to the intake: delivery id to (event, interview id)."""
        if found:
            rows = [(i, event, interview_id) for i, (event, interview_id) in found.items()]
            _give_back(c, _READABLE.fetch(c, rows))

    @reads
    def latest_webhook(self, c: Connection, connection: str) -> InboundWebhook | None:
        """Return the newest accepted webhook of a connection."""
        mine = _select_all().where(inbox.c.connection == connection, inbox.c.source == "webhook")
        found = _read(c, mine.order_by(inbox.c.id.desc()).limit(1))
        return found[0] if found else None


def erase_bodies(c: Connection, keys: Sequence[tuple[str, str]]) -> int:
    """Remove what was sent about interviews; that something came, and on which day, stays. Return how many.

    New deliveries are left to the intake: one may tell that an interview has a respondent after all.
    """
    return _ERASE.execute(c, keys) if keys else 0


def prune(c: Connection, before: int, limit: int) -> int:
    """Delete deliveries older than `before` that were dealt with, of the `limit` oldest; return how many."""
    oldest = select(inbox.c.id).where(inbox.c.state != "new").order_by(inbox.c.id).limit(limit)
    oldest = oldest.with_for_update(skip_locked=True)
    old = delete(inbox).where(inbox.c.id.in_(oldest.scalar_subquery()), inbox.c.received_at < before)
    return c.execute(old).rowcount


def _select_all() -> Select[Any]:
    return select(inbox.c.id, *(inbox.c[name] for name in _COLUMNS))


def _read(c: Connection, query: Select[Any]) -> list[InboundWebhook]:
    return [InboundWebhook._make((*values, number)) for number, *values in fetch(c, query)]
