"""Who did what: entries that only grow."""

from __future__ import annotations

import json

from sqlalchemy import Connection, insert, select

from connector.domain.access import AuditEntry, AuditFilter
from connector.ledger.db.bulk import storable
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema import audit, audit_outcome


class Audit(Repository):
    """The audit log: entries that only grow."""

    @writes
    def begin(self, c: Connection, entry: AuditEntry) -> int:
        """Store that an operation begins; return the number of its entry."""
        values = {
            "connection": entry.connection,
            "at": entry.at,
            "token": storable(entry.token),
            "surface": entry.surface,
            "operation": entry.operation,
            "effect": entry.effect,
            "touched": storable(json.dumps(entry.touched)),
        }
        return int(c.execute(insert(audit).values(values).returning(audit.c.id)).scalar_one())

    @writes
    def end(self, c: Connection, number: int, outcome: str, touched: dict[str, str], now: int) -> None:
        """Store how an operation ended, and the ids of what it made."""
        row = {"audit_id": number, "at": now, "outcome": outcome, "touched": storable(json.dumps(touched))}
        c.execute(insert(audit_outcome).values(row))

    @reads
    def listed(self, c: Connection, connection: str, where: AuditFilter, limit: int) -> list[AuditEntry]:
        """Return entries of the audit log of a connection, newest first."""
        query = (
            select(
                audit,
                audit_outcome.c.at.label("ended_at"),
                audit_outcome.c.outcome,
                audit_outcome.c.touched.label("made"),
            )
            .outerjoin(audit_outcome, audit_outcome.c.audit_id == audit.c.id)
            .where(audit.c.connection == connection)
        )
        for column, value in (
            (audit.c.token, where.token),
            (audit.c.surface, where.surface),
            (audit.c.operation, where.operation),
        ):
            if value is not None:
                query = query.where(column == storable(value))
        if where.since is not None:
            query = query.where(audit.c.at >= where.since)
        if where.until is not None:
            query = query.where(audit.c.at < where.until)
        if where.before is not None:
            query = query.where(audit.c.id < where.before)
        return [
            AuditEntry(
                id=row.id,
                connection=row.connection,
                at=row.at,
                token=row.token,
                surface=row.surface,
                operation=row.operation,
                effect=row.effect,
                touched={**json.loads(row.touched), **json.loads(row.made or "{}")},
                ended_at=row.ended_at,
                outcome=row.outcome,
            )
            for row in c.execute(query.order_by(audit.c.id.desc()).limit(limit))
        ]
