"""The syncs: load, change, take for sending, settle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Exists, and_, func, literal, or_, select, text, tuple_, update

from connector.ledger import counters
from connector.ledger.dialect import lock_rows, rows
from connector.ledger.rows import SYNC_COLUMNS, dump_attempts, dump_sync, load_sync
from connector.ledger.schema import sync as table
from connector.models import Stage, SyncStatus
from connector.ports import ListFilter, Outgoing, Settlement, Sync

_KEY = {"connection": "text", "interview_id": "text"}
_ATTEMPTS_KEPT = 20


def load(connection: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Sync]:
    """Return the syncs that exist among `keys`, kept for this transaction."""
    dialect = connection.dialect.name
    found = connection.execute(
        text(
            f"SELECT s.* FROM {rows(dialect, _KEY)} AS r "  # noqa: S608
            "JOIN sync AS s ON s.connection = r.connection AND s.interview_id = r.interview_id" + lock_rows(dialect, "s")
        ),
        {"rows": json.dumps(list(keys))},
    )
    return {(row.connection, row.interview_id): load_sync(row) for row in found}


def save(connection: Connection, before: Mapping[tuple[str, str], Sync], changed: Sequence[Sync]) -> None:
    """Insert or overwrite syncs and move the counters from what they were."""
    if not changed:
        return
    names = ", ".join(SYNC_COLUMNS)
    kept = ", ".join(f"{name} = excluded.{name}" for name in SYNC_COLUMNS if name not in _KEY)
    connection.execute(
        text(
            f"INSERT INTO sync ({names}) SELECT {names} FROM {rows(connection.dialect.name, SYNC_COLUMNS)} AS r "  # noqa: S608
            f"WHERE true ON CONFLICT (connection, interview_id) DO UPDATE SET {kept}"
        ),
        {"rows": json.dumps([dump_sync(one) for one in changed])},
    )
    counters.move(
        connection,
        [(one, before.get((one.connection, one.interview_id))) for one in changed],
    )


def find(connection: Connection, name: str, interview_id: str) -> Sync | None:
    """Return one sync."""
    row = connection.execute(
        select(table).where(table.c.connection == name, table.c.interview_id == interview_id)
    ).first()
    return None if row is None else load_sync(row)


def listed(
    connection: Connection, name: str, where: ListFilter, limit: int, after: tuple[int, str] | None
) -> list[Sync]:
    """Return syncs of a connection, newest first receipt first."""
    query = select(table).where(table.c.connection == name)
    if where.status is not None:
        query = query.where(table.c.status == where.status)
    if where.reason is not None:
        query = query.where(table.c.reason == where.reason)
    if where.since is not None:
        query = query.where(table.c.first_received_at >= where.since)
    if where.until is not None:
        query = query.where(table.c.first_received_at < where.until)
    if after is not None:
        query = query.where(tuple_(table.c.first_received_at, table.c.interview_id) < tuple_(literal(after[0]), literal(after[1])))
    query = query.order_by(table.c.first_received_at.desc(), table.c.interview_id.desc()).limit(limit)
    return [load_sync(row) for row in connection.execute(query)]


def due_reads(connection: Connection, names: Sequence[str], now: int, limit: int) -> list[Sync]:
    """Return syncs for which Koji must be read, first-timers before repeats."""
    query = (
        select(table)
        .where(table.c.stage == Stage.READ, table.c.connection.in_(names), table.c.due <= now)
        .order_by(table.c.due)
        .limit(limit)
    )
    return [load_sync(row) for row in connection.execute(query)]


def next_due(connection: Connection, stage: Stage, names: Sequence[str]) -> int | None:
    """Return the earliest due time of a stage."""
    query = select(func.min(table.c.due)).where(
        table.c.stage == stage, table.c.connection.in_(names), table.c.sending_since.is_(None)
    )
    return connection.execute(query).scalar()


def waiting(connection: Connection, stage: Stage, names: Sequence[str]) -> int:
    """Count the syncs of a stage."""
    query = select(func.count()).select_from(table).where(table.c.stage == stage, table.c.connection.in_(names))
    return int(connection.execute(query).scalar_one())


def _newer(names: Sequence[str], user_hash: Any, completed_at: Any, interview_id: Any) -> Exists:
    other = table.alias("other")
    return (
        select(literal(1))
        .where(
            other.c.user_hash == user_hash,
            other.c.connection.in_(names),
            tuple_(other.c.completed_at, other.c.interview_id) > tuple_(completed_at, interview_id),
            or_(
                other.c.status == SyncStatus.SYNCED,
                other.c.stage.in_((Stage.SEND, Stage.HOLD)),
                other.c.unknown_since.is_not(None),
            ),
        )
        .exists()
    )


def is_overtaken(connection: Connection, names: Sequence[str], sync: Sync) -> bool:
    """Tell whether a newer interview of the same user owns the user properties."""
    newer = _newer(names, literal(sync.user_hash), literal(sync.completed_at), literal(sync.interview_id))
    return bool(connection.execute(select(newer)).scalar_one())


def begin_send(connection: Connection, names: Sequence[str], now: int, limit: int) -> list[Outgoing]:
    """Take due syncs, mark them as being sent, and tell which still own the user's properties.

    User properties belong to the newest interview, by completion, of that user in that Amplitude project that is
    synced, on its way, or perhaps sent.
    """
    newer = _newer(names, table.c.user_hash, table.c.completed_at, table.c.interview_id)
    taken: list[Outgoing] = []
    share = max(1, limit // len(names))
    for name in names:
        query = (
            select(table, newer.label("overtaken"))
            .where(
                table.c.stage == Stage.SEND,
                table.c.connection == name,
                table.c.due <= now,
                table.c.sending_since.is_(None),
            )
            .order_by(table.c.due, table.c.completed_at)
            .limit(share)
            .with_for_update(of=table)
        )
        taken += [Outgoing(load_sync(row), identify=not row.overtaken) for row in connection.execute(query)]
    taken.sort(key=lambda outgoing: (outgoing.sync.completed_at or 0, outgoing.sync.interview_id))
    if taken:
        connection.execute(
            text(
                f"UPDATE sync SET sending_since = :now, frozen_at = coalesce(frozen_at, :now) "  # noqa: S608
                f"FROM {rows(connection.dialect.name, _KEY)} AS r "
                "WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id"
            ),
            {"now": now, "rows": json.dumps([(o.sync.connection, o.sync.interview_id) for o in taken])},
        )
    return taken


_SETTLED = {
    "connection": "text",
    "interview_id": "text",
    "status": "text",
    "reason": "text",
    "stage": "text",
    "due": "bigint",
    "attempts": "text",
    "unknown_since": "bigint",
    "tries": "integer",
    "synced_at": "bigint",
}


def settle(connection: Connection, settlements: Sequence[Settlement], now: int) -> None:
    """Store what a send led to.

    What Amplitude accepted is synced, whatever was decided meanwhile. A sync that was called off while it was in
    flight (its stage is gone) stays called off unless it was accepted.
    """
    dialect = connection.dialect.name
    before = load(connection, [(one.connection, one.interview_id) for one in settlements])
    values: list[tuple[Any, ...]] = []
    moved: list[tuple[Sync, SyncStatus, str | None]] = []
    called_off: list[tuple[str, str]] = []
    for one in settlements:
        was = before.get((one.connection, one.interview_id))
        if was is None:
            continue
        status, reason, synced_at = one.status, one.reason, one.synced_at or was.synced_at
        pending = status is SyncStatus.PENDING
        if status is not SyncStatus.SYNCED and (was.stage is not Stage.SEND or was.status is SyncStatus.SYNCED):
            status, reason = was.status, was.reason
            pending = pending and was.stage is Stage.SEND
            if was.status is SyncStatus.SKIPPED:
                called_off.append((one.connection, one.interview_id))
        values.append(
            (
                one.connection,
                one.interview_id,
                status,
                reason,
                Stage.SEND if pending else None,
                one.due if pending else None,
                dump_attempts(_newest(one.attempts)),
                one.unknown_since,
                one.tries,
                synced_at,
            )
        )
        if (status, reason) != (was.status, was.reason):
            moved.append((was, status, reason))
    assigned = ", ".join(f"{name} = r.{name}" for name in _SETTLED if name not in _KEY)
    connection.execute(
        text(
            f"UPDATE sync SET {assigned}, sending_since = NULL, updated_at = :now, "  # noqa: S608
            "force = CASE WHEN r.stage IS NULL THEN false ELSE sync.force END "
            f"FROM {rows(dialect, _SETTLED)} AS r "
            "WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id"
        ),
        {"now": now, "rows": json.dumps(values)},
    )
    counters.change(connection, moved)
    if called_off:
        connection.execute(
            text(
                "UPDATE sync SET user_id = NULL, user_hash = NULL, identify = NULL, event = NULL, attempts = NULL, "  # noqa: S608
                f"frozen_at = NULL FROM {rows(dialect, _KEY)} AS r "
                "WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id"
            ),
            {"rows": json.dumps(called_off)},
        )


def _newest(attempts: tuple[Any, ...]) -> tuple[Any, ...]:
    return attempts if len(attempts) <= _ATTEMPTS_KEPT else attempts[:1] + attempts[1 - _ATTEMPTS_KEPT :]


def recover_sends(connection: Connection, names: Sequence[str], now: int) -> int:
    """Give sends that their owner never settled an unknown outcome and make them due."""
    query = select(table).where(
        table.c.connection.in_(names), table.c.stage == Stage.SEND, table.c.sending_since.is_not(None)
    )
    lost = [load_sync(row) for row in connection.execute(query)]
    for one in lost:
        attempt = {"at": one.sending_since, "outcome": "unknown", "words": "The connector stopped before the answer."}
        connection.execute(
            update(table)
            .where(and_(table.c.connection == one.connection, table.c.interview_id == one.interview_id))
            .values(
                sending_since=None,
                due=now,
                unknown_since=one.unknown_since or one.sending_since,
                attempts=dump_attempts(_newest((*one.attempts, attempt))),
            )
        )
    return len(lost)


def release_backfills(connection: Connection, now: int) -> int:
    """Let held syncs go whose backfill has nothing left that was never read."""
    unread = table.alias("unread")
    waits = (
        select(literal(1))
        .where(unread.c.run_id == table.c.run_id, unread.c.stage == Stage.READ, unread.c.reads == 0)
        .exists()
    )
    released = connection.execute(
        update(table).where(table.c.stage == Stage.HOLD, ~waits).values(stage=Stage.SEND, due=now)
    )
    return released.rowcount


def prune(connection: Connection, before: int, now: int, limit: int) -> int:
    """Remove what names or quotes a person from syncs that ended before `before`; return how many.

    The interview id with its outcome, the user's keyed hash and the completion time stay: they keep an interview
    from being counted twice, and older interviews from overwriting newer user properties.
    """
    old = (
        select(table.c.connection, table.c.interview_id)
        .where(table.c.updated_at < before, table.c.pruned_at.is_(None), table.c.stage.is_(None))
        .limit(limit)
    )
    keys = [(row.connection, row.interview_id) for row in connection.execute(old)]
    if keys:
        connection.execute(
            text(
                "UPDATE sync SET facts = NULL, user_id = NULL, identify = NULL, event = NULL, attempts = NULL, "  # noqa: S608
                f"pruned_at = :now FROM {rows(connection.dialect.name, _KEY)} AS r "
                "WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id"
            ),
            {"now": now, "rows": json.dumps(keys)},
        )
    return len(keys)
