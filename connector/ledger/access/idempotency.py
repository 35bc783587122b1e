"""Answers of calls that carried an idempotency key."""

from __future__ import annotations

import secrets

from sqlalchemy import ColumnElement, Connection, and_, delete, select, text, update

from connector.domain.access import Claim
from connector.ledger.db.bulk import storable
from connector.ledger.db.dialect import TryAgainError
from connector.ledger.db.repository import Repository, writes
from connector.ledger.db.schema import answer

_LEASE = 60_000
_KEPT = 7 * 86_400_000
_INSERT = text(
    "INSERT INTO answer (scope, key, digest, token, until, created_at) "
    "VALUES (:scope, :key, :digest, :token, :until, :now) ON CONFLICT (scope, key) DO NOTHING"
)


class Idempotency(Repository):
    """Answers by scope and key. Keys and digests are hashed: people build both from names and addresses."""

    @writes
    def claim(self, c: Connection, scope: str, key: str, digest: str, now: int) -> Claim:
        """Claim a key for 60 s, or tell its standing: stored, running, or another body."""
        mine, digest = self._of(scope, key), self.keys.keyed_hash(digest)
        c.execute(delete(answer).where(mine, answer.c.created_at < now - _KEPT))
        token = secrets.token_hex(8)
        values = {
            "scope": storable(scope),
            "key": self.keys.keyed_hash(key),
            "digest": digest,
            "token": token,
            "until": now + _LEASE,
            "now": now,
        }
        if c.execute(_INSERT, values).rowcount:
            return Claim("new", token)
        row = c.execute(select(answer).where(mine)).first()
        if row is None:
            raise TryAgainError  # given back by another process between the two statements
        if row.digest != digest:
            return Claim("mismatch")
        if row.status is not None:
            return Claim("stored", status=row.status, body=row.body)
        taken = c.execute(
            update(answer)
            .where(mine, answer.c.status.is_(None), answer.c.until < now)
            .values(token=token, until=now + _LEASE)
        )
        return Claim("new", token) if taken.rowcount else Claim("running")

    @writes
    def store(
        self, c: Connection, scope: str, key: str, token: str | None, status: int, body: str, now: int
    ) -> None:
        """Store the answer of a claim that is still ours."""
        c.execute(
            update(answer)
            .where(self._of(scope, key), answer.c.token == token, answer.c.status.is_(None))
            .values(status=status, body=storable(body), token=None, created_at=now)
        )

    @writes
    def release(self, c: Connection, scope: str, key: str, token: str | None) -> None:
        """Give a claim back unanswered, so that the next call starts anew."""
        mine = self._of(scope, key)
        c.execute(delete(answer).where(mine, answer.c.token == token, answer.c.status.is_(None)))

    def _of(self, scope: str, key: str) -> ColumnElement[bool]:
        return and_(answer.c.scope == storable(scope), answer.c.key == self.keys.keyed_hash(key))


def prune(c: Connection, now: int) -> None:
    """Forget answers that are older than the promise."""
    c.execute(delete(answer).where(answer.c.created_at < now - _KEPT))
