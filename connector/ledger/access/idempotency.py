"""Answers to calls that carried an idempotency key."""

from __future__ import annotations

import secrets

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from connector.domain.access import Claim
from connector.ledger.db.bulk import storable
from connector.ledger.db.dialect import TryAgainError
from connector.ledger.db.queries import insert_once
from connector.ledger.db.repository import Repository, writes
from connector.ledger.db.schema.access import idempotency as table

_LEASE = 60_000  # ms
_KEPT = 7 * 86_400_000  # ms


class Idempotency(Repository):
    """Answers by scope and key. Keys and digests are hashed: callers build both from names and addresses."""

    @writes
    def claim(self, c: Connection, scope: str, key: str, digest: str, now: int) -> Claim:
        """Claim a key for 60 s; or tell that its answer is stored, its call runs, or its body was another."""
        of_key, digest = self._of(scope, key), self.keys.keyed_hash(digest)
        c.execute(delete(table).where(of_key, table.c.created_at < now - _KEPT))
        token = secrets.token_hex(8)
        names = {"scope": storable(scope), "key": self.keys.keyed_hash(key), "digest": digest}
        if insert_once(c, table, **names, token=token, until=now + _LEASE, created_at=now):
            return Claim("new", token)
        row = c.execute(select(table).where(of_key)).first()
        if row is None:
            raise TryAgainError  # another process released it between the two statements
        if row.digest != digest:
            return Claim("mismatch")
        if row.status is not None:
            return Claim("stored", status=row.status, body=row.body)
        taken = c.execute(
            update(table)
            .where(of_key, table.c.status.is_(None), table.c.until < now)
            .values(token=token, until=now + _LEASE)
        )
        return Claim("new", token) if taken.rowcount else Claim("running")

    @writes
    def store(
        self, c: Connection, scope: str, key: str, token: str | None, status: int, body: str, now: int
    ) -> None:
        """Store the answer of a claim that is still ours."""
        c.execute(
            update(table)
            .where(self._of(scope, key), table.c.token == token, table.c.status.is_(None))
            .values(status=status, body=storable(body), token=None, created_at=now)
        )

    @writes
    def release(self, c: Connection, scope: str, key: str, token: str | None) -> None:
        """Release a claim without an answer, so that the next call starts anew."""
        of_key = self._of(scope, key)
        c.execute(delete(table).where(of_key, table.c.token == token, table.c.status.is_(None)))

    def _of(self, scope: str, key: str) -> ColumnElement[bool]:
        return and_(table.c.scope == storable(scope), table.c.key == self.keys.keyed_hash(key))


def prune(c: Connection, now: int) -> None:
    """Delete answers that are older than the seven days for which they are promised."""
    c.execute(delete(table).where(table.c.created_at < now - _KEPT))
