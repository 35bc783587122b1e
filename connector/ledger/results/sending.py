"""Syncs on their way: taken by the owner of the lane, then settled by what Amplitude answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from connector.domain.lease import Lease
from connector.domain.results.anonymity import is_anonymous_or_erased, without_person
from connector.domain.results.interview import Stage, SyncStatus
from connector.domain.results.sync import Outgoing, Settlement, Sync
from connector.ledger.db.bulk import BulkStatement, Row, fetch
from connector.ledger.db.repository import Repository, fence, fenced, reads, writes
from connector.ledger.db.schema import sync as table
from connector.ledger.events import events
from connector.ledger.results import counters
from connector.ledger.results.counters import Place
from connector.ledger.results.sync_row import dump_attempts, load_sync
from connector.ledger.results.syncs import KEY, Key, all_columns, load, save


class _Standing(NamedTuple):
    connection: str
    interview_id: str
    first_received_at: int
    status: str
    reason: str | None
    stage: str | None
    due: int | None
    force: bool
    erased: bool  # found to be without a respondent while it was in flight

    def place(self, status: str, reason: str | None) -> Place:
        return Place.of(self.connection, self.first_received_at, status, reason)


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
    {
        "position": "integer",
        "user_hash": "text",
        "completed_at": "bigint",
        "interview_id": "text",
        "connection": "text",
    },
    returns=["r.position"],
)
_STANDING = BulkStatement(
    "SELECT {returns} FROM {rows} AS r "
    "JOIN sync AS s ON s.connection = r.connection AND s.interview_id = r.interview_id {lock}",
    KEY,
    returns=[*(f"s.{name}" for name in _Standing._fields[:-1]), "s.event IS NULL"],
)
_SETTLE = BulkStatement(
    "UPDATE sync SET {changes}, synced_at = coalesce(r.accepted_at, sync.synced_at), sending_since = NULL "
    "FROM {rows} AS r WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id",
    {
        **KEY,
        "status": "text",
        "reason": "text",
        "stage": "text",
        "due": "bigint",
        "force": "boolean",
        "attempts": "text",
        "unknown_since": "bigint",
        "tries": "integer",
        "updated_at": "bigint",
        "accepted_at": "bigint",
    },
    key=(*KEY, "accepted_at"),
)


_State = tuple[str, str | None, str | None, int | None, bool]


class Sending(Repository):
    """Sends of syncs, by the owner of a lane of Amplitude's."""

    @reads
    def is_overtaken(self, c: Connection, connections: Sequence[str], sync: Sync) -> bool:
        """Tell whether a newer interview of the same user, synced or on its way, owns the user properties."""
        return bool(_overtaken(c, connections, [sync]))

    @writes
    def settle(
        self, c: Connection, lease: Lease, settlements: Sequence[Settlement], now: int, paced_until: int
    ) -> None:
        """Store what a send led to. Raises `Conflict` when the lease was lost.

        What Amplitude accepted is synced, whatever was decided meanwhile. What was called off, or sent back
        to be read, while it was in flight stays so unless it was accepted.
        """
        fence(c, lease, paced_until=paced_until)
        _settle(c, settlements, now)

    @fenced
    def begin(self, c: Connection, connections: Sequence[str], now: int, limit: int) -> list[Outgoing]:
        """Take due syncs, mark them as being sent, and tell which still own the user's properties.

        User properties belong to the newest interview, by completion, of that user in that Amplitude project
        that is synced, on its way, or perhaps sent.
        """
        due = load(c, _due(c, connections, now, limit)).values()
        # looked at once more: another process may have changed a row before it was locked
        taken = [one for one in due if one.stage is Stage.SEND and one.sending_since is None]
        if not taken:
            return []
        taken.sort(key=lambda one: (one.completed_at or 0, one.interview_id))
        _BEGIN.execute(c, [(one.connection, one.interview_id, now) for one in taken])
        behind = _overtaken(c, connections, taken)
        return [Outgoing(one, identify=at not in behind) for at, one in enumerate(taken)]

    @fenced
    def recover(self, c: Connection, connections: Sequence[str], now: int) -> int:
        """Give sends that their owner never settled an unknown outcome and make them due; return how many."""
        query = all_columns().where(table.c.connection.in_(connections), table.c.sending_since.is_not(None))
        query = query.order_by(table.c.connection, table.c.interview_id).with_for_update()
        lost = [_lost(load_sync(row), now) for row in fetch(c, query)]
        _settle(c, lost, now)
        return len(lost)


def _due(c: Connection, connections: Sequence[str], now: int, limit: int) -> list[Key]:
    """Return the keys of what is due, the longest due first."""
    due = table.c.due, table.c.completed_at
    found: list[Row] = []
    for connection in connections:
        query = select(*due, table.c.connection, table.c.interview_id).where(
            table.c.stage == Stage.SEND,
            table.c.connection == connection,
            table.c.due <= now,
            table.c.sending_since.is_(None),
        )
        found += fetch(c, query.order_by(*due).limit(limit))
    found.sort(key=lambda row: (row[0], row[1] or 0))
    return [(row[2], row[3]) for row in found[:limit]]


def _overtaken(c: Connection, connections: Sequence[str], syncs: Sequence[Sync]) -> set[int]:
    """Return the positions of those for whose user a newer interview owns the user properties."""
    questions = [
        (at, one.user_hash, one.completed_at, one.interview_id, connection)
        for at, one in enumerate(syncs)
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
    happened: list[tuple[_Standing, tuple[str, str | None]]] = []
    for key, one in zip(keys, settlements, strict=True):
        if (was := standing.get(key)) is None:
            continue
        state = _state(was, one)
        attempts = dump_attempts(one.attempts)
        happened.append((was, state[:2]))
        values.append((*key, *state, attempts, one.unknown_since, one.tries, now, one.synced_at))
        moves.append((was.place(was.status, was.reason), was.place(*state[:2])))
        if was.erased or state[0] == SyncStatus.SKIPPED:
            ended.append(key)
    _SETTLE.execute(c, values)
    events.tell(
        c,
        [
            told
            for was, value in happened
            for told in events.of_sync(
                was.connection, was.interview_id, (was.status, was.reason), *value, now
            )
        ],
    )
    counters.move(c, moves)
    _forget(c, ended, {key for key in ended if standing[key].erased})


def _state(was: _Standing, one: Settlement) -> _State:
    """Return status, reason, stage, due and force after a send."""
    if one.status is SyncStatus.SYNCED:
        if was.stage == Stage.READ:  # asked for meanwhile: read and send again
            return SyncStatus.SYNCED, None, was.stage, was.due, bool(was.force)
        return SyncStatus.SYNCED, None, None, None, False
    if was.stage != Stage.SEND:
        return was.status, was.reason, was.stage, was.due, bool(was.force)
    again = one.status is SyncStatus.PENDING
    stage, due, force = (Stage.SEND, one.due, bool(was.force)) if again else (None, None, False)
    if was.status == SyncStatus.SYNCED:  # sent again by force: what was accepted before stays accepted
        return was.status, was.reason, stage, due, force
    return one.status, one.reason, stage, due, force


def _forget(c: Connection, keys: Sequence[Key], erased: Collection[Key]) -> None:
    """Remove what was only kept because it was in flight, and what the answer brought back."""
    before = load(c, keys)
    save(c, before, [_remains(one, erased=key in erased) for key, one in before.items()])


def _remains(sync: Sync, *, erased: bool) -> Sync:
    """Return what stays: what Amplitude perhaps has keeps its body, so that no other one goes out instead."""
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
    return Settlement(
        connection=sync.connection,
        interview_id=sync.interview_id,
        status=SyncStatus.PENDING,
        reason=sync.reason,
        due=now,
        attempts=(*sync.attempts, attempt),
        unknown_since=sync.unknown_since or sync.sending_since,
        tries=sync.tries,
    )
