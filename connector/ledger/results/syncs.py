"""The syncs: load, change, find, list, count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select, tuple_

from connector.domain.lease import Lease
from connector.domain.results.anonymity import is_anonymous_or_erased
from connector.domain.results.interview import Stage
from connector.domain.results.observation import Observation
from connector.domain.results.respondent import People
from connector.domain.results.sync import InboundWebhook, ListFilter, Sync
from connector.ledger.db.bulk import BulkStatement, fetch
from connector.ledger.db.dialect import TryAgainError, share_suppressions
from connector.ledger.db.repository import Repository, fence, reads, writes
from connector.ledger.db.schema import sync as table
from connector.ledger.events import events
from connector.ledger.launches import attribution
from connector.ledger.people import respondents
from connector.ledger.results import counters, inbox
from connector.ledger.results.counters import Place
from connector.ledger.results.sync_row import SYNC_COLUMNS, dump_sync, load_sync

Key = tuple[str, str]
Revise = Callable[[Mapping[Key, Sync], People], Sequence[Sync]]
"""What becomes of syncs, given them as they are and what is known of the people whom they name."""
KEY = {"connection": "text", "interview_id": "text"}

_LOAD = BulkStatement(
    "SELECT {returns} FROM {rows} AS r "
    "JOIN sync AS s ON s.connection = r.connection AND s.interview_id = r.interview_id {lock}",
    KEY,
    returns=[f"s.{name}" for name in SYNC_COLUMNS],
)
_INSERT = BulkStatement(
    "INSERT INTO sync ({names}) SELECT {names} FROM {rows} AS r WHERE true "
    "ON CONFLICT (connection, interview_id) DO NOTHING",
    SYNC_COLUMNS,
)
_UPDATE = BulkStatement(
    "UPDATE sync SET {changes} FROM {rows} AS r "
    "WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id",
    SYNC_COLUMNS,
    key=KEY,
)


def load(c: Connection, keys: Sequence[Key]) -> dict[Key, Sync]:
    """Return the syncs that exist among `keys`, kept for this transaction."""
    found = (load_sync(row) for row in _LOAD.fetch(c, keys)) if keys else ()
    return {_key(sync): sync for sync in found}


def find_many(c: Connection, connection: str, interview_ids: Sequence[str]) -> dict[str, Sync]:
    """Return those of a connection's syncs that are there, by interview id."""
    query = all_columns().where(table.c.connection == connection, table.c.interview_id.in_(interview_ids))
    return {one.interview_id: one for one in map(load_sync, fetch(c, query))}


def save(c: Connection, before: Mapping[Key, Sync], changed: Sequence[Sync]) -> None:
    """Store syncs and move the counters from what they were.

    Raises `TryAgainError` when another process stored one of them after `before` was loaded.
    """
    # in the order of their keys, so that two processes do not wait for each other's
    new = [dump_sync(one) for one in sorted(changed, key=_key) if _key(one) not in before]
    if new and _INSERT.execute(c, new) != len(new):
        raise TryAgainError
    old = [dump_sync(one) for one in changed if _key(one) in before]
    if old:
        _UPDATE.execute(c, old)
    happened: list[events.Happened] = []
    for one in changed:
        was = before.get(_key(one))
        known = None if was is None else (was.status.value, was.reason)
        happened += events.of_sync(*_key(one), known, one.status, one.reason, one.updated_at)
    events.tell(c, happened)
    counters.move(
        c,
        ((None if (was := before.get(_key(one))) is None else _place(was), _place(one)) for one in changed),
    )


def all_columns(*more: ColumnElement[Any]) -> Select[Any]:
    """Begin a query of what `load_sync` reads; `more` columns follow."""
    return select(*(table.c[name] for name in SYNC_COLUMNS), *more)


def _key(sync: Sync) -> Key:
    return (sync.connection, sync.interview_id)


def _place(sync: Sync) -> Place:
    return Place.of(sync.connection, sync.first_received_at, sync.status, sync.reason)


class Syncs(Repository):
    """One interview's way to Amplitude, each by (connection, interview id)."""

    @writes
    def revise(
        self,
        c: Connection,
        keys: Sequence[Key],
        revise: Revise,
        *,
        lease: Lease | None = None,
        heard: Sequence[Observation] = (),
        done: Sequence[int] = (),
        record: Sequence[InboundWebhook] = (),
    ) -> list[Sync]:
        """Load syncs, store what `revise` makes of them and of `heard`, in one transaction; return those.

        `done` are deliveries that this deals with, `record` new ones that explain it. `revise` runs in the
        writer's thread and, when another process came in between, more than once. What came in about
        interviews without a respondent is erased, whether or not it changed anything. Raises `Conflict` when
        the lease was lost.
        """
        fence(c, lease)
        share_suppressions(c)  # before any row, as the erasure of a person does
        before = load(c, keys)
        mentions = [(one.rules.connection, one.interview) for one in heard]
        mentions += [(one.connection, one.facts) for one in before.values() if one.facts is not None]
        changed = [*revise(before, respondents.known(c, self.keys, mentions))]
        save(c, before, changed)
        inbox.mark_done(c, done)
        if record:
            inbox.accept(c, [inbox.keyed(self.keys, one) for one in record])
        after = {**before, **{_key(one): one for one in changed}}
        anonymous = [key for key, one in after.items() if is_anonymous_or_erased(one.reason, one.facts)]
        attribution.lock(c, changed, anonymous)
        erased = inbox.erase_bodies(c, anonymous)
        erased += attribution.unbind(c, anonymous)
        events.to_the_day(c, anonymous)
        attribution.bind(c, changed)
        if erased:
            self.db.empty_log()
        return changed

    async def find(self, connection: str, interview_id: str) -> Sync | None:
        """Return one sync."""
        return (await self.find_many(connection, [interview_id])).get(interview_id)

    @reads
    def find_many(self, c: Connection, connection: str, interview_ids: Sequence[str]) -> dict[str, Sync]:
        """Return those of a connection's syncs that are there, by interview id."""
        return find_many(c, connection, interview_ids)

    @reads
    def listed(
        self, c: Connection, connection: str, where: ListFilter, *, limit: int, after: tuple[int, str] | None
    ) -> list[Sync]:
        """Return syncs, newest first receipt first, beginning after a (first receipt, interview id)."""
        query = all_columns().where(table.c.connection == connection)
        if where.status is not None:
            query = query.where(table.c.status == where.status)
        if where.reason is not None:
            query = query.where(table.c.reason == where.reason)
        if where.since is not None:
            query = query.where(table.c.first_received_at >= where.since)
        if where.until is not None:
            query = query.where(table.c.first_received_at < where.until)
        if after is not None:
            place = tuple_(table.c.first_received_at, table.c.interview_id)
            query = query.where(place < tuple_(literal(after[0]), literal(after[1])))
        query = query.order_by(table.c.first_received_at.desc(), table.c.interview_id.desc()).limit(limit)
        return [load_sync(row) for row in fetch(c, query)]

    @reads
    def due_reads(self, c: Connection, connections: Sequence[str], now: int, limit: int) -> list[Sync]:
        """Return syncs for which Koji must be read now, the longest due first."""
        query = (
            all_columns()
            .where(table.c.stage == Stage.READ, table.c.connection.in_(connections), table.c.due <= now)
            .order_by(table.c.due)
            .limit(limit)
        )
        return [load_sync(row) for row in fetch(c, query)]

    @reads
    def next_due(self, c: Connection, stage: Stage, connections: Sequence[str]) -> int | None:
        """Return when the next sync of a stage is due."""
        query = select(func.min(table.c.due)).where(
            table.c.stage == stage, table.c.connection.in_(connections), table.c.sending_since.is_(None)
        )
        due: int | None = c.execute(query).scalar()
        return due

    @reads
    def waiting(self, c: Connection, stage: Stage, connections: Sequence[str]) -> int:
        """Count the syncs of a stage."""
        query = select(func.count()).select_from(table)
        return int(
            c.execute(query.where(table.c.stage == stage, table.c.connection.in_(connections))).scalar_one()
        )
