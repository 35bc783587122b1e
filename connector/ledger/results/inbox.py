"""The inbox: webhooks, and what callers and Koji said about interviews, each until it was dealt with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, delete, func, literal_column, select, text, update

from connector.domain.results.sync import InboundWebhook
from connector.ledger.access.secrets import Keys
from connector.ledger.db.bulk import BulkStatement, Row, are_storable, fetch, types_of
from connector.ledger.db.database import Database
from connector.ledger.db.dialect import TryAgainError
from connector.ledger.db.queries import number_in_day
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.results import IS_ERASED, inbox

_COLUMNS = types_of(inbox, *InboundWebhook._fields[:-1])  # the database makes the last, the id
_REPEATED_COLUMNS = ("connection", "event", "interview_id", "webhook_id", "digest", "body")
_SHOWN = 200
_TAKEN = 16 * 1024 * 1024  # characters of bodies
_RECENT = 8 * 1024 * 1024  # the same
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
# sorted, and as a subquery so that the locks are taken in this order
_LOCK_IDS = BulkStatement(
    "SELECT {returns} FROM (SELECT DISTINCT hashtextextended(connection || ' ' || webhook_id, 0) AS key "
    "FROM {rows} AS r ORDER BY key) AS sorted",
    types_of(inbox, "connection", "webhook_id"),
    returns=["count(pg_advisory_xact_lock(key))"],
)
_MARK_DONE = BulkStatement(
    "UPDATE inbox SET state = 'done' WHERE id IN (SELECT id FROM {rows} AS r)", {"id": "bigint"}
)
# with the ledger's keys, a digest would tell which of some bodies it was; so might the sender's own id
_ERASE = BulkStatement(
    "UPDATE inbox SET body = NULL, digest = NULL, webhook_id = NULL, "
    "received_at = inbox.received_at / 86400000 * 86400000, "
    "signed_at = inbox.signed_at / 86400000 * 86400000 FROM {rows} AS r "
    "WHERE inbox.connection = r.connection AND inbox.interview_id = r.interview_id "
    "AND inbox.state <> 'new' AND inbox.body IS NOT NULL",
    types_of(inbox, "connection", "interview_id"),
)
_REREAD_COLUMNS = types_of(inbox, "id", "event", "interview_id")
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
    types_of(inbox, *_REPEATED_COLUMNS),
    returns=["s.id", "r.event", "r.interview_id"],
    lock="s.id",
)
_repeated = attrgetter(*_REPEATED_COLUMNS)


def keyed(keys: Keys, webhook: InboundWebhook) -> InboundWebhook:
    """Return a webhook with its digest hashed: the digest is kept after the body, which it would reveal."""
    digest = webhook.digest
    return webhook if digest is None else webhook._replace(digest=keys.keyed_hash(digest))


def accept(c: Connection, webhooks: Sequence[InboundWebhook]) -> list[bool]:
    """Store webhooks; return for each whether it was new.

    A webhook is known when its `webhook-id`, or its body and event name, was stored before on that
    connection. A known one that was unreadable and is readable now goes to the intake.
    """
    rows = [_row(webhook) for webhook in webhooks]
    one_writer = c.dialect.name == "sqlite"
    fresh = _insert(c, _INSERT, rows) if one_writer else _insert_by_key(c, webhooks, rows)
    pairs = zip(webhooks, fresh, strict=True)
    if repeated := [_repeated(webhook) for webhook, new in pairs if not new and webhook.state == "new"]:
        _give_back(c, _REPEATED.fetch(c, repeated))
    return fresh


def _give_back(c: Connection, readable: Sequence[Row]) -> None:
    """Let the intake read webhooks that were unreadable, each an (id, event, interview id)."""
    if readable:
        _REREAD.execute(c, [tuple(row) for row in readable])


def _insert_by_key(c: Connection, webhooks: Sequence[InboundWebhook], rows: Sequence[Row]) -> list[bool]:
    """Insert in the order of the digests, numbered in the order of arrival.

    An insert of a key waits for another transaction that inserted it. Two that insert the same webhooks,
    each in an order of its own, would wait for each other. A webhook has two keys, and no order is right for
    both: the ids are locked before, so that inserts wait for digests alone. Raises `TryAgainError` for a
    group with two webhooks of one id, because the first to arrive is the one that is stored.
    """
    with_id = [(one.connection, one.webhook_id) for one in webhooks if one.webhook_id is not None]
    if len(set(with_id)) < len(with_id):
        raise TryAgainError
    if with_id:
        _LOCK_IDS.fetch(c, with_id)
    numbers = c.exec_driver_sql(_NUMBERS, {"n": len(rows)}).scalars().all()
    order = sorted(range(len(rows)), key=lambda at: (webhooks[at].connection, webhooks[at].digest or "", at))
    stored = _insert(c, _INSERT_NUMBERED, [(numbers[at], *rows[at]) for at in order])
    return [new for _, new in sorted(zip(order, stored, strict=True))]


def _insert(c: Connection, statement: BulkStatement, rows: Sequence[Row]) -> list[bool]:
    """Insert rows; return for each whether it was new. When only some are, halves find out which."""
    c.exec_driver_sql("SAVEPOINT before_insert")
    stored = statement.execute(c, rows)
    if stored in (0, len(rows)):
        c.exec_driver_sql("RELEASE SAVEPOINT before_insert")
        return [stored > 0] * len(rows)
    c.exec_driver_sql("ROLLBACK TO SAVEPOINT before_insert")
    middle = len(rows) // 2
    first, rest = rows[:middle], rows[middle:]
    return _insert(c, statement, first) + _insert(c, statement, rest)


def new_webhooks(
    c: Connection, connections: Sequence[str], limit: int, held: Sequence[int] = ()
) -> list[Row]:
    """Return id, connection and digest of the oldest new webhooks, of each connection its share.

    Those `held` are left out.
    """
    share = max(1, limit // max(1, len(connections)))
    length = func.coalesce(func.length(inbox.c.body), 0)
    new = select(inbox.c.id, inbox.c.connection, inbox.c.digest, length).where(IS_NEW)
    if held:
        new = new.where(inbox.c.id.not_in(held))
    taken: list[Row] = []
    for connection in connections:
        oldest = fetch(c, new.where(inbox.c.connection == connection).order_by(inbox.c.id).limit(share))
        sizes = accumulate((row[3] for row in oldest), initial=0)
        taken += [row[:3] for row, before in zip(oldest, sizes, strict=False) if before < _TAKEN]
    return taken


def mark_done(c: Connection, ids: Sequence[int]) -> None:
    """Store that webhooks were dealt with."""
    if ids:
        _MARK_DONE.execute(c, [(i,) for i in ids])


class Recent:
    """Webhooks that this process stored a moment ago, so that its intake need not read them back.

    They are kept by connection and digest, which are unique in the ledger, up to `room` characters of bodies.
    """

    def __init__(self, room: int = _RECENT) -> None:
        self._kept: dict[tuple[str, str | None], InboundWebhook] = {}
        self._room = room

    def keep(self, webhook: InboundWebhook) -> None:
        """Keep a webhook that is stored unchanged and is new to the intake; the oldest make room for it."""
        if webhook.state != "new" or webhook.digest is None or not are_storable(webhook):
            return
        self._kept[webhook.connection, webhook.digest] = webhook
        self._room -= len(webhook.body or "")
        while self._room < 0:
            self.take(*next(iter(self._kept)))

    def take(self, connection: str, digest: str | None) -> InboundWebhook | None:
        """Remove and return a webhook."""
        webhook = self._kept.pop((connection, digest), None)
        if webhook is not None:
            self._room += len(webhook.body or "")
        return webhook


class Inbox(Repository):
    """Webhooks, and what else was said about interviews."""

    def __init__(self, db: Database, keys: Keys) -> None:
        super().__init__(db, keys)
        self._recent = Recent()

    async def accept(self, webhook: InboundWebhook) -> bool:
        """Store a webhook; return whether it was new. Raises `LedgerUnavailable` after about 8 s."""
        webhook = keyed(self.keys, webhook)
        fresh = await self.db.accept(webhook)
        if fresh:
            self._recent.keep(webhook)
        return fresh

    async def take_new(
        self, connections: Sequence[str], limit: int, held: Sequence[int] = ()
    ) -> list[InboundWebhook]:
        """Return the oldest webhooks of connections that the intake did not read yet, but not those `held`.

        Each connection has its share, which ends early when its bodies exceed 16 million characters.
        """
        new = await self.db.read(lambda c: new_webhooks(c, connections, limit, held))
        known = {
            number: webhook._replace(id=number)
            for number, connection, digest in new
            if (webhook := self._recent.take(connection, digest)) is not None
        }
        if unknown := [number for number, _, _ in new if number not in known]:
            query = _select_all().where(inbox.c.id.in_(unknown))
            known |= {webhook.id: webhook for webhook in await self.db.read(lambda c: _read(c, query))}
        return [known[number] for number, _, _ in new if number in known]

    @reads
    def received(self, c: Connection, connection: str, interview_id: str) -> list[InboundWebhook]:
        """Return the newest 200 entries about one interview, oldest first."""
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
        """Return webhooks without a readable interview id, newest first."""
        query = _select_all().where(inbox.c.connection == connection, IS_UNREADABLE)
        if before is not None:
            query = query.where(inbox.c.id < before)
        return _read(c, query.order_by(inbox.c.id.desc()).limit(limit))

    @reads
    def unreadable_ids(self, c: Connection, connection: str, since: int) -> list[str]:
        """Return the ids, as texts, of webhooks without a readable interview id, from `since` (ms) on."""
        mine = select(inbox.c.id).where(inbox.c.connection == connection, IS_UNREADABLE)
        rows = c.execute(mine.where(inbox.c.received_at >= since).order_by(inbox.c.id))
        return [str(number) for number in rows.scalars()]

    @reads
    def still_unreadable(self, c: Connection, ids: Sequence[int]) -> list[InboundWebhook]:
        """Return those of some webhooks that are unreadable and have a body."""
        return _read(c, _select_all().where(inbox.c.id.in_(ids), IS_UNREADABLE, inbox.c.body.is_not(None)))

    @writes
    def reread(self, c: Connection, readable: Mapping[int, tuple[str | None, str]]) -> None:
        """Give webhooks that were unreadable back to the intake: webhook id to (event, interview id)."""
        if readable:
            _give_back(c, _READABLE.fetch(c, [(number, *named) for number, named in readable.items()]))

    @writes
    def set_aside(self, c: Connection, webhook_id: int) -> None:
        """Count a webhook as unreadable: the intake failed to process it, and replay_syncs gives it back."""
        c.execute(update(inbox).where(inbox.c.id == webhook_id, IS_NEW).values(state="unreadable"))

    @reads
    def latest_webhook(self, c: Connection, connection: str) -> InboundWebhook | None:
        """Return the newest accepted webhook of a connection."""
        mine = _select_all().where(inbox.c.connection == connection, inbox.c.source == "webhook")
        return next(iter(_read(c, mine.order_by(inbox.c.id.desc()).limit(1))), None)


def erase_bodies(c: Connection, keys: Sequence[tuple[str, str]]) -> int:
    """Remove the bodies of interviews' webhooks and round their times to the day; return how many.

    New webhooks are left to the intake: one may tell that an interview has a respondent after all.
    """
    return _ERASE.execute(c, keys) if keys else 0


def prune(c: Connection, before: int, limit: int) -> int:
    """Delete webhooks older than `before` that were dealt with, of the `limit` oldest; return how many."""
    deleted = 0
    for side in (inbox.c.id > 0, inbox.c.id < 0):  # see `hide_order`; each is in the order of age
        oldest = select(inbox.c.id).where(side, inbox.c.state != "new").order_by(inbox.c.id).limit(limit)
        oldest = oldest.with_for_update(skip_locked=True)
        old = delete(inbox).where(inbox.c.id.in_(oldest.scalar_subquery()), inbox.c.received_at < before)
        deleted += c.execute(old).rowcount
    return deleted


def hide_order(c: Connection, limit: int) -> int:
    """Give erased webhooks ids that tell of their order only the day; return how many.

    The newest webhook keeps its id: SQLite would give it again.
    """
    newest = select(func.max(inbox.c.id)).scalar_subquery()
    erased = text(IS_ERASED), inbox.c.state != "new", inbox.c.id < newest
    # in random order: PostgreSQL shows in which one the rows were written
    query = select(inbox.c.id, inbox.c.received_at).where(*erased).order_by(func.random()).limit(limit)
    rows = c.execute(query).all()
    for number, at in rows:
        c.execute(update(inbox).where(inbox.c.id == number).values(id=number_in_day(at)))
    return len(rows)


def _select_all() -> Select[Any]:
    return select(inbox.c.id, *(inbox.c[name] for name in _COLUMNS))


def _read(c: Connection, query: Select[Any]) -> list[InboundWebhook]:
    return [InboundWebhook._make((*values, number)) for number, *values in fetch(c, query)]
