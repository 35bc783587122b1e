"""The audit log: which caller did what. Entries are added and never changed."""

from __future__ import annotations

import json
from dataclasses import asdict
from operator import eq, ge, lt
from typing import Any

from sqlalchemy import Connection, insert, select

from connector.domain.access import AuditEntry, AuditFilter
from connector.ledger.access.secrets import Keys
from connector.ledger.db.bulk import storable
from connector.ledger.db.database import Database
from connector.ledger.db.queries import narrowed
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.access import audit, audit_outcome

REFUSED_EVERY = 60_000  # ms


class Audit(Repository):
    """The audit log."""

    def __init__(self, db: Database, keys: Keys) -> None:
        super().__init__(db, keys)
        self._refused_at: dict[tuple[str, str], int] = {}  # of each caller, in ms

    async def refuse(self, entry: AuditEntry, outcome: str) -> None:
        """Store a call that was refused, unless one of the same caller was stored less than a minute ago."""
        caller = (entry.token, entry.surface)
        if not 0 <= entry.at - self._refused_at.get(caller, -REFUSED_EVERY) < REFUSED_EVERY:
            self._refused_at[caller] = entry.at
            await self.end(await self.begin(entry), outcome, {}, entry.at)

    @writes
    def begin(self, c: Connection, entry: AuditEntry) -> int:
        """Store that an operation begins; return the number of its entry."""
        values = {**asdict(entry), "touched": json.dumps(entry.touched)}
        row = {name: storable(values[name]) for name in audit.c.keys() if name != "id"}  # noqa: SIM118
        return int(c.execute(insert(audit).values(row).returning(audit.c.id)).scalar_one())

    @writes
    def end(self, c: Connection, number: int, outcome: str, touched: dict[str, str], now: int) -> None:
        """Store how an operation ended, and the ids of what it made."""
        row = {"audit_id": number, "at": now, "outcome": outcome, "touched": storable(json.dumps(touched))}
        c.execute(insert(audit_outcome).values(row))

    @reads
    def listed(self, c: Connection, connection: str, where: AuditFilter, limit: int) -> list[AuditEntry]:
        """Return entries of the audit log of a connection, newest first."""
        end = audit_outcome.c
        query = (
            select(audit, end.at.label("ended_at"), end.outcome, end.touched.label("made"))
            .outerjoin(audit_outcome, end.audit_id == audit.c.id)
            .where(audit.c.connection == connection)
        )
        page = narrowed(
            query,
            (audit.c.token, eq, storable(where.token)),
            (audit.c.surface, eq, storable(where.surface)),
            (audit.c.operation, eq, storable(where.operation)),
            (audit.c.at, ge, where.since),
            (audit.c.at, lt, where.until),
            (audit.c.id, lt, where.before),
        )
        rows = c.execute(page.order_by(audit.c.id.desc()).limit(limit)).mappings()
        return [_load(**row) for row in rows]


def _load(*, touched: str, made: str | None, **values: Any) -> AuditEntry:
    return AuditEntry(**values, touched={**json.loads(touched), **json.loads(made or "{}")})
