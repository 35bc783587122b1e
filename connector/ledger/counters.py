"""Roll-up counters by connection, day of first receipt, status and reason, so that no progress ever scans."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, func, select, text

from connector.ledger.dialect import rows
from connector.ledger.schema import counter
from connector.ports import Sync

_DAY = 86_400_000
_COLUMNS = {"connection": "text", "day": "integer", "status": "text", "reason": "text", "n": "bigint"}
_Moves = Counter[tuple[str, int, str, str]]


def move(connection: Connection, changes: Sequence[tuple[Sync, Sync | None]]) -> None:
    """Count syncs as what they are now and no longer as what they were."""
    moves: _Moves = Counter()
    for now, was in changes:
        if was is not None:
            if (was.status, was.reason) == (now.status, now.reason):
                continue
            moves[_key(was, was.status, was.reason)] -= 1
        moves[_key(now, now.status, now.reason)] += 1
    _add(connection, moves)


def change(connection: Connection, changes: Sequence[tuple[Sync, str, str | None]]) -> None:
    """Count syncs under a new status and reason."""
    moves: _Moves = Counter()
    for was, status, reason in changes:
        moves[_key(was, was.status, was.reason)] -= 1
        moves[_key(was, status, reason)] += 1
    _add(connection, moves)


def _key(sync: Sync, status: str, reason: str | None) -> tuple[str, int, str, str]:
    return (sync.connection, sync.first_received_at // _DAY, str(status), reason or "")


def _add(connection: Connection, moves: _Moves) -> None:
    # sorted, so that two processes lock the rows in the same order
    values = [(*key, n) for key, n in sorted(moves.items()) if n]
    if values:
        names = ", ".join(_COLUMNS)
        connection.execute(
            text(
                f"INSERT INTO counter ({names}) SELECT {names} FROM {rows(connection.dialect.name, _COLUMNS)} AS r "  # noqa: S608
                "WHERE true ON CONFLICT (connection, day, status, reason) DO UPDATE SET n = counter.n + excluded.n"
            ),
            {"rows": json.dumps(values)},
        )


def totals(connection: Connection, name: str) -> dict[tuple[str, str], int]:
    """Return the number of interviews by (status, reason)."""
    query = (
        select(counter.c.status, counter.c.reason, func.sum(counter.c.n))
        .where(counter.c.connection == name)
        .group_by(counter.c.status, counter.c.reason)
    )
    return {(row[0], row[1]): int(row[2]) for row in connection.execute(query) if row[2]}
