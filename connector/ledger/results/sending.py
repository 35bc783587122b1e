"""Sends to Amplitude: the owner of a lane takes due syncs, then settles them by Amplitude's answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from connector.domain.lease import Lease
from connector.domain.results.anonymity import is_anonymous_or_erased, without_person
from connector.domain.results.interview import Stage, SyncStatus
from connector.domain.results.sync import EVENTS_MISSING, Outgoing, Settlement, Sync, settlement
from connector.domain.results.tally import Cell, cells_of
from connector.ledger.db.bulk import BulkStatement, Row, fetch, types_of
from connector.ledger.db.repository import Repository, fence, fenced, reads, writes
from connector.ledger.db.schema.results import sync as table
from connector.ledger.events import events
from connector.ledger.results import counters, tallies
from connector.ledger.results.counters import Place
from connector.ledger.results.sync_row import dump_attempts, load_facts, load_sync
from connector.ledger.results.syncs import KEY, Key, all_columns, load, save


class _Standing(NamedTuple):
    """What settling needs of a sync; `erased` was found to have no respondent while it was in flight."""

    connection: str
    interview_id: str
    first_received_at: int
    status: str
    reason: str | None
    stage: str | None
    due: int | None
    force: bool
    completed_at: int | None
    facts: str | None
    erased: bool

    def place(self, status: str, reason: str | None) -> Place:
        return Place.of(self.connection, self.first_received_at, status, reason)

    def cells(self, status: str) -> Collection[Cell]:
        """Return where the interview counts when it is synced now, and for the first time."""
        if status != SyncStatus.SYNCED or self.status == SyncStatus.SYNCED or self.erased:
            return ()
        facts = load_facts(self.facts)
        if facts is None or is_anonymous_or_erased(self.reason, facts):
            return ()
        return cells_of(self.connection, self.completed_at or self.first_received_at, facts)


_BEGIN = BulkStatement(
    "UPDATE sync SET sending_since = r.now, frozen_at = coalesce(sync.frozen_at, r.now) FROM {rows} AS r "
    "WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id",
    {**KEY, "now": "bigint"},
)
_OVERTAKEN = BulkStatement(
    "SELECT {returns} FROM {rows} AS r WHERE EXISTS (SELECT 1 FROM sync AS s "
    "WHERE s.user_hash = r.user_hash AND s.connection = r.connection "
    "AND (s.completed_at, s.interview_id) > (r.completed_at, r.interview_id) "
    "AND (s.status = 'synced' OR s.stage IN ('send', 'hold') OR s.unknown_since IS NOT NULL))",
    {"position": "integer", **types_of(table, "user_hash", "completed_at", "interview_id", "connection")},
    returns=["r.position"],
)
_STANDING = BulkStatement(
    "SELECT {returns} FROM {rows} AS r "
    "JOIN sync AS s ON s.connection = r.connection AND s.interview_id = r.interview_id {lock}",
    KEY,
    returns=[*(f"s.{name}" for name in _Standing._fields[:-1]), "s.event IS NULL"],
)
_SETTLED = "status", "reason", "stage", "due", "force", "attempts", "unknown_since", "tries", "updated_at"
_SETTLE = BulkStatement(
    "UPDATE sync SET {changes}, synced_at = coalesce(r.accepted_at, sync.synced_at), sending_since = NULL "
    "FROM {rows} AS r WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id",
    {**KEY, **types_of(table, *_SETTLED), "accepted_at": "bigint"},
    key=(*KEY, "accepted_at"),
)

_State = tuple[str, str | None, str | None, int | None, bool]


class Sending(Repository):
    """Sends of syncs, by the owner of an Amplitude lane."""

    @reads
    def is_overtaken(self, c: Connection, connections: Sequence[str], sync: Sync) -> bool:
        """Tell whether a newer interview of the same user, synced or on its way, owns the user properties."""
        return bool(_overtaken(c, connections, [sync]))

    @writes
    def settle(
        self, c: Connection, lease: Lease, settlements: Sequence[Settlement], now: int, paced_until: int
    ) -> None:
        """Store the outcomes of a send. Raises `Conflict` when the lease was lost.

        A sync that Amplitude accepted is synced, whatever was decided meanwhile. One that was called off, or
        that must be read again, while it was in flight stays so unless it was accepted.
        """
        fence(c, lease, paced_until=paced_until)
        _settle(c, settlements, now)

    @fenced
    def begin(self, c: Connection, connections: Sequence[str], now: int, limit: int) -> list[Outgoing]:
        """Take due syncs and mark them as being sent; return which of them own the user's properties.

        User properties belong to the newest interview, by completion, of that user in that Amplitude project
        that is synced, on its way, or perhaps sent. A refresh of other properties is called off.
        """
        due = load(c, _due(c, connections, now, limit))
        # checked once more: another process may have changed a row before it was locked
        taken = [sync for sync in due.values() if sync.stage is Stage.SEND and sync.sending_since is None]
        if not taken:
            return []
        taken.sort(key=lambda sync: (sync.completed_at or 0, sync.interview_id))
        overtaken = _overtaken(c, connections, taken)
        going = [Outgoing(sync, identify=at not in overtaken) for at, sync in enumerate(taken)]
        stale = [one.sync for one in going if one.sync.is_refresh and not one.identify]
        if stale:
            save(c, due, [sync._replace(stage=None, due=None) for sync in stale])
            going = [one for one in going if one.identify or not one.sync.is_refresh]
        if going:
            _BEGIN.execute(c, [(one.sync.connection, one.sync.interview_id, now) for one in going])
        return going

    @fenced
    def recover(self, c: Connection, connections: Sequence[str], now: int) -> int:
        """Make sends due that their owner did not settle, with an unknown outcome; return how many."""
        query = all_columns().where(table.c.connection.in_(connections), table.c.sending_since.is_not(None))
        query = query.order_by(table.c.connection, table.c.interview_id).with_for_update()
        lost = [_lost(load_sync(row), now) for row in fetch(c, query)]
        _settle(c, lost, now)
        return len(lost)


def _due(c: Connection, connections: Sequence[str], now: int, limit: int) -> list[Key]:
    """Return the keys of due syncs, the longest due first."""
    due = table.c.due, table.c.completed_at
    rows: list[Row] = []
    for connection in connections:
        query = select(*due, table.c.connection, table.c.interview_id).where(
            table.c.stage == Stage.SEND,
            table.c.connection == connection,
            table.c.due <= now,
            table.c.sending_since.is_(None),
        )
        rows += fetch(c, query.order_by(*due).limit(limit))
    rows.sort(key=lambda row: (row[0], row[1] or 0))
    return [(row[2], row[3]) for row in rows[:limit]]


def _overtaken(c: Connection, connections: Sequence[str], syncs: Sequence[Sync]) -> set[int]:
    """Return the positions of syncs whose user's properties come from a newer interview."""
    questions = [
        (at, sync.user_hash, sync.completed_at, sync.interview_id, connection)
        for at, sync in enumerate(syncs)
        for connection in connections
    ]
    return {row[0] for row in _OVERTAKEN.fetch(c, questions)}


def _settle(c: Connection, settlements: Sequence[Settlement], now: int) -> None:
    keys = [(one.connection, one.interview_id) for one in settlements]
    if not keys:
        return
    standing = {was[:2]: was for was in map(_Standing._make, _STANDING.fetch(c, keys))}
    values: list[Row] = []
    moves: list[tuple[Place, Place]] = []
    ended: list[Key] = []
    happened: list[events.Happened] = []
    counted: list[Cell] = []
    for key, one in zip(keys, settlements, strict=True):
        if (was := standing.get(key)) is None:
            continue
        status, reason, *rest = _state(was, one)
        happened += events.of_sync(*key, (was.status, was.reason), status, reason, now)
        outcome = dump_attempts(one.attempts), one.unknown_since, one.tries
        values.append((*key, status, reason, *rest, *outcome, now, one.synced_at))
        moves.append((was.place(was.status, was.reason), was.place(status, reason)))
        counted += was.cells(status)
        if was.erased or status == SyncStatus.SKIPPED:
            ended.append(key)
    _SETTLE.execute(c, values)
    events.tell(c, happened)
    counters.move(c, moves)
    tallies.count(c, counted)
    # values that were only kept because they were in flight, or that the answer brought back
    before = load(c, ended)
    save(c, before, [_remains(sync, erased=standing[key].erased) for key, sync in before.items()])


def _state(was: _Standing, sent: Settlement) -> _State:
    """Return status, reason, stage, due and force after a send."""
    if sent.status is SyncStatus.SYNCED:
        reason = EVENTS_MISSING if sent.reason == EVENTS_MISSING else None
        if was.stage == Stage.READ:  # requested meanwhile: read and send again
            return SyncStatus.SYNCED, reason, was.stage, was.due, bool(was.force)
        return SyncStatus.SYNCED, reason, None, None, False
    if was.stage != Stage.SEND:
        return was.status, was.reason, was.stage, was.due, bool(was.force)
    again = sent.status is SyncStatus.PENDING
    stage, due, force = (Stage.SEND, sent.due, bool(was.force)) if again else (None, None, False)
    if was.status == SyncStatus.SYNCED:  # sent again by force: it stays accepted
        return was.status, was.reason, stage, due, force
    return sent.status, sent.reason, stage, due, force


def _remains(sync: Sync, *, erased: bool) -> Sync:
    """Return a settled sync without values to be removed; one that Amplitude may have keeps its event."""
    if erased or is_anonymous_or_erased(sync.reason, sync.facts):
        sync = without_person(sync)
    if sync.status is not SyncStatus.SKIPPED or sync.unknown_since is not None:
        return sync
    return sync._replace(user_id=None, user_hash=None, identify=None, event=None, frozen_at=None)


def _lost(sync: Sync, now: int) -> Settlement:
    attempt: Mapping[str, Any] = {
        "at": sync.sending_since,
        "outcome": "unknown",
        "words": "The connector stopped before the answer.",
    }
    since, reason = sync.sending_since, sync.reason
    return settlement(sync, SyncStatus.PENDING, reason, attempt, due=now, unknown_at=since, tried=False)
