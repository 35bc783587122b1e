"""Diagnostics that are worth a look and promise nothing: refused webhooks and pings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from connector.domain.access import Note
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema import note


class Diagnostics(Repository):
    """Notes by connection and kind."""

    @writes
    def add(
        self, c: Connection, connection: str, kind: str, detail: Mapping[str, Any], now: int, keep: int
    ) -> None:
        """Remember something for diagnostics; only the newest `keep` of a kind stay."""
        c.execute(insert(note).values(connection=connection, kind=kind, at=now, detail=json.dumps(detail)))
        mine = (note.c.connection == connection, note.c.kind == kind)
        newest = select(note.c.id).where(*mine).order_by(note.c.id.desc()).limit(keep)
        _delete(c, select(note.c.id).where(*mine, note.c.id.not_in(newest.scalar_subquery())))

    @reads
    def since(self, c: Connection, connection: str, kind: str, at: int) -> list[Note]:
        """Return notes, newest first."""
        query = (
            select(note)
            .where(note.c.connection == connection, note.c.kind == kind, note.c.at >= at)
            .order_by(note.c.id.desc())
        )
        return [Note(row.at, json.loads(row.detail)) for row in c.execute(query)]


def prune(c: Connection, before: int) -> None:
    """Forget old notes."""
    _delete(c, select(note.c.id).where(note.c.at < before))


def _delete(c: Connection, old: Select[tuple[int]]) -> None:
    """Delete notes but those that another transaction is deleting."""
    c.execute(delete(note).where(note.c.id.in_(old.with_for_update(skip_locked=True))))
