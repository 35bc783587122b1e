"""Diagnostics, such as refused webhooks and pings: useful to look at, and never complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from connector.domain.access import Diagnostic
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.runtime import diagnostic as table


class Diagnostics(Repository):
    """Diagnostics by connection and kind."""

    @writes
    def add(
        self, c: Connection, connection: str, kind: str, detail: Mapping[str, Any], now: int, keep: int
    ) -> None:
        """Store a diagnostic; only the newest `keep` of a kind stay."""
        c.execute(insert(table).values(connection=connection, kind=kind, at=now, detail=json.dumps(detail)))
        of_kind = (table.c.connection == connection, table.c.kind == kind)
        newest = select(table.c.id).where(*of_kind).order_by(table.c.id.desc()).limit(keep)
        _delete(c, select(table.c.id).where(*of_kind, table.c.id.not_in(newest.scalar_subquery())))

    @reads
    def since(self, c: Connection, connection: str, kind: str, at: int) -> list[Diagnostic]:
        """Return the diagnostics of a kind since a time (ms), newest first."""
        recent = select(table).where(table.c.connection == connection, table.c.kind == kind, table.c.at >= at)
        rows = c.execute(recent.order_by(table.c.id.desc()))
        return [Diagnostic(row.at, json.loads(row.detail)) for row in rows]


def prune(c: Connection, before: int) -> None:
    """Delete old diagnostics."""
    _delete(c, select(table.c.id).where(table.c.at < before))


def _delete(c: Connection, old: Select[tuple[int]]) -> None:
    """Delete diagnostics, except those that another transaction is deleting."""
    c.execute(delete(table).where(table.c.id.in_(old.with_for_update(skip_locked=True))))
