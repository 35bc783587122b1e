"""Syncs: load, change, find, list and count them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import eq
from typing import Any

from sqlalchemy import Connection, Select, func, select

from connector.domain.lease import Lease
from connector.domain.results.anonymity import is_anonymous_or_erased
from connector.domain.results.interview import Stage
from connector.domain.results.observation import Observation
from connector.domain.results.respondent import People
from connector.domain.results.run import RunChunk
from connector.domain.results.sync import InboundWebhook, ListFilter, Sync
from connector.ledger.db.bulk import BulkStatement, fetch, types_of
from connector.ledger.db.dialect import TryAgainError, share_suppressions
from connector.ledger.db.queries import earliest, narrowed, newest_first
from connector.ledger.db.repository import Repository, fence, reads, writes
from connector.ledger.db.schema.results import sync as table
from connector.ledger.events import events
from connector.ledger.launches import attribution
from connector.ledger.people import respondents
from connector.ledger.people.scatter import mark
from connector.ledger.results import counters, inbox, runs
from connector.ledger.results.counters import Place
from connector.ledger.results.sync_row import SYNC_COLUMNS, dump_sync, load_sync

Key = tuple[str, str]
Revise = Callable[[Mapping[Key, Sync], People], Sequence[Sync]]
"""Decide over syncs: from the present ones, and the persons that they name, to the changed ones."""
KEY = types_of(table, "connection", "interview_id")

_LOAD = BulkStatement(
    "SELECT {returns} FROM {rows} AS r "
    "JOIN sync AS s ON s.connection = r.connection AND s.interview_id = r.interview_id {lock}",
    KEY,
    returns=[f"s.{name}" for name in SYNC_COLUMNS],
)
_UNKNOWN = BulkStatement(
    "SELECT {returns} FROM {rows} AS r LEFT JOIN sync AS s "
    "ON s.connection = r.connection AND s.interview_id = r.interview_id WHERE s.interview_id IS NULL",
    KEY,
    returns=["r.interview_id"],
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
    """Return the syncs of `keys` that exist, locked for this transaction."""
    rows = _LOAD.fetch(c, keys) if keys else ()
    return {_key(sync): sync for sync in map(load_sync, rows)}


def find_many(c: Connection, connection: str, interview_ids: Sequence[str]) -> dict[str, Sync]:
    """Return the syncs of a connection by interview id, not locked; unknown ids are left out."""
    query = all_columns().where(table.c.connection == connection, table.c.interview_id.in_(interview_ids))
    return {sync.interview_id: sync for sync in map(load_sync, fetch(c, query))}


def save(c: Connection, before: Mapping[Key, Sync], changed: Sequence[Sync]) -> None:
    """Store syncs with their events, and move their counters.

    Raises `TryAgainError` when another process stored one of them after `before` was loaded.
    """
    # in the order of their keys, so that two processes do not wait for each other
    new = [dump_sync(sync) for sync in sorted(changed, key=_key) if _key(sync) not in before]
    if new and _INSERT.execute(c, new) != len(new):
        raise TryAgainError
    old = [dump_sync(sync) for sync in changed if _key(sync) in before]
    if old:
        _UPDATE.execute(c, old)
    happened: list[events.Happened] = []
    moves: list[tuple[Place | None, Place]] = []
    for sync in changed:
        stored = before.get(_key(sync))
        outcome = None if stored is None else (stored.status.value, stored.reason)
        happened += events.of_sync(*_key(sync), outcome, sync.status, sync.reason, sync.updated_at)
        moves.append((None if stored is None else _place(stored), _place(sync)))
    events.tell(c, happened)
    counters.move(c, moves)


def all_columns() -> Select[Any]:
    """Begin a query for `load_sync`."""
    return select(*(table.c[name] for name in SYNC_COLUMNS))


def _key(sync: Sync) -> Key:
    return (sync.connection, sync.interview_id)


def _place(sync: Sync) -> Place:
    return Place.of(sync.connection, sync.first_received_at, sync.status, sync.reason)


_ALL = 2**31 - 1


class Syncs(Repository):
    """Interviews on their way to Amplitude, by (connection, interview id)."""

    @writes
    def revise(
        self,
        c: Connection,
        keys: Sequence[Key],
        revise: Revise,
        *,
        lease: Lease | None = None,
        observations: Sequence[Observation] = (),
        done: Sequence[int] = (),
        record: Sequence[InboundWebhook] = (),
        chunk: RunChunk | None = None,
    ) -> list[Sync]:
        """Load syncs, let `revise` decide over them and `observations`, store and return the changed ones.

        It is one transaction. `done` are webhooks that it deals with, `record` new ones that explain it,
        and `chunk` the items of a run that it deals with.
        `revise` runs in the writer's thread, and more than once when another process interfered. Bodies about
        interviews without a respondent are erased even when no sync changed. Raises `Conflict` when the lease
        was lost.
        """
        fence(c, lease)
        share_suppressions(c)  # before any row, in the order of an erasure
        before = load(c, keys)
        mentions = [(said.rules.connection, said.interview) for said in observations]
        mentions += [(sync.connection, sync.facts) for sync in before.values() if sync.facts is not None]
        changed = [*revise(before, respondents.known(c, self.keys, mentions))]
        save(c, before, changed)
        inbox.mark_done(c, done)
        if record:
            inbox.accept(c, [inbox.keyed(self.keys, webhook) for webhook in record])
        if chunk is not None:
            runs.end_chunk(c, chunk)
        after = {**before, **{_key(sync): sync for sync in changed}}
        anonymous = [key for key, sync in after.items() if is_anonymous_or_erased(sync.reason, sync.facts)]
        attribution.lock(c, changed, anonymous)
        erased = inbox.erase_bodies(c, anonymous)
        erased += attribution.unbind(c, anonymous)
        events.to_the_day(c, anonymous)
        attribution.bind(c, changed)
        if erased:
            mark(c, anonymous)
            self.db.empty_log()
        return changed

    async def find(self, connection: str, interview_id: str) -> Sync | None:
        """Return one sync."""
        return (await self.find_many(connection, [interview_id])).get(interview_id)

    @reads
    def find_many(self, c: Connection, connection: str, interview_ids: Sequence[str]) -> dict[str, Sync]:
        """Return the syncs of a connection by interview id; unknown ids are left out."""
        return find_many(c, connection, interview_ids)

    @reads
    def listed(
        self, c: Connection, connection: str, where: ListFilter, *, limit: int, after: tuple[int, str] | None
    ) -> list[Sync]:
        """Return syncs, newest first by first receipt, beginning after a (first receipt, interview id)."""
        all_rows = all_columns().where(table.c.connection == connection)
        query = narrowed(all_rows, (table.c.status, eq, where.status), (table.c.reason, eq, where.reason))
        page = newest_first(query, table.c.first_received_at, table.c.interview_id, where, limit, after)
        return [load_sync(row) for row in fetch(c, page)]

    @reads
    def ids(self, c: Connection, connection: str, where: ListFilter) -> list[str]:
        """Return the interview ids of all syncs that `listed` returns, in the same order."""
        all_rows = select(table.c.interview_id).where(table.c.connection == connection)
        query = narrowed(all_rows, (table.c.status, eq, where.status), (table.c.reason, eq, where.reason))
        page = newest_first(query, table.c.first_received_at, table.c.interview_id, where, _ALL, None)
        return [row[0] for row in fetch(c, page)]

    @reads
    def unknown(self, c: Connection, connection: str, interview_ids: Sequence[str]) -> set[str]:
        """Return those interview ids that never came in on a connection."""
        rows = [(connection, interview_id) for interview_id in interview_ids]
        return {row[0] for row in _UNKNOWN.fetch(c, rows)}

    @reads
    def due_reads(self, c: Connection, connections: Sequence[str], now: int, limit: int) -> list[Sync]:
        """Return syncs whose interviews must be read from Koji now, the longest due first."""
        unread = (table.c.stage == Stage.READ) & table.c.connection.in_(connections)
        query = all_columns().where(unread, table.c.due <= now).order_by(table.c.due).limit(limit)
        return [load_sync(row) for row in fetch(c, query)]

    @reads
    def next_due(self, c: Connection, stage: Stage, connections: Sequence[str]) -> int | None:
        """Return when the next sync of a stage is due (ms)."""
        of_stage = (table.c.stage == stage) & table.c.connection.in_(connections)
        return earliest(c, table.c.due, of_stage, table.c.sending_since.is_(None))

    @reads
    def waiting(self, c: Connection, stage: Stage, connections: Sequence[str]) -> int:
        """Count the syncs of a stage."""
        of_stage = (table.c.stage == stage) & table.c.connection.in_(connections)
        return int(c.execute(select(func.count()).select_from(table).where(of_stage)).scalar_one())
