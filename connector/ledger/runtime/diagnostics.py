"""Diagnostics, such as refused webhooks and pings: useful to look at, and never complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from connector.domain.access import Note
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.runtime import note


class Diagnostics(Repository):
    """Diagnostics by connection and kind."""

    @writes
    def add(
        self, c: Connection, connection: str, kind: str, detail: Mapping[str, Any], now: int, keep: int
    ) -> None:
        """Store a diagnostic; only the newest `keep` of a kind stay."""
        c.execute(insert(note).values(connection=connection, kind=kind, at=now, detail=json.dumps(detail)))
        of_kind = (note.c.connection == connection, note.c.kind == kind)
        newest = select(note.c.id).where(*of_kind).order_by(note.c.id.desc()).limit(keep)
        _delete(c, select(note.c.id).where(*of_kind, note.c.id.not_in(newest.scalar_subquery())))

    @reads
    def since(self, c: Connection, connection: str, kind: str, at: int) -> list[Note]:
        """Return the diagnostics of a kind since a time (ms), newest first."""
        recent = select(note).where(note.c.connection == connection, note.c.kind == kind, note.c.at >= at)
        rows = c.execute(recent.order_by(note.c.id.desc()))
        return [Note(row.at, json.loads(row.detail)) for row in rows]


def prune(c: Connection, before: int) -> None:
    """Delete old diagnostics."""
    _delete(c, select(note.c.id).where(note.c.at < before))


def _delete(c: Connection, old: Select[tuple[int]]) -> None:
    """Delete diagnostics, except those that another transaction is deleting."""
    c.execute(delete(note).where(note.c.id.in_(old.with_for_update(skip_locked=True))))
