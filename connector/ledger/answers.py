"""Stored answers of idempotent calls."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, and_, delete, select, text, update

from connector.ledger.schema import answer
from connector.ports import Claim

LEASE = 60_000
KEPT = 7 * 86_400_000


def claim(connection: Connection, scope: str, key: str, digest: str, now: int) -> Claim:
    """Claim a key for 60 s, or tell its standing: stored, running, or another body."""
    mine = and_(answer.c.scope == scope, answer.c.key == key)
    connection.execute(delete(answer).where(mine, answer.c.created_at < now - KEPT))
    token = secrets.token_hex(8)
    fresh = connection.execute(
        text(
            "INSERT INTO answer (scope, key, digest, token, until, created_at) "
            "VALUES (:scope, :key, :digest, :token, :until, :now) ON CONFLICT (scope, key) DO NOTHING"
        ),
        {"scope": scope, "key": key, "digest": digest, "token": token, "until": now + LEASE, "now": now},
    )
    if fresh.rowcount:
        return Claim("new", token)
    row = connection.execute(select(answer).where(mine)).one()
    if row.digest != digest:
        return Claim("mismatch")
    if row.status is not None:
        return Claim("stored", status=row.status, body=row.body)
    taken = connection.execute(
        update(answer).where(mine, answer.c.status.is_(None), answer.c.until < now).values(token=token, until=now + LEASE)
    )
    return Claim("new", token) if taken.rowcount else Claim("running")


def store(connection: Connection, scope: str, key: str, token: str | None, status: int, body: str, now: int) -> None:
    """Store the answer of a claim that is still ours."""
    connection.execute(
        update(answer)
        .where(answer.c.scope == scope, answer.c.key == key, answer.c.token == token)
        .values(status=status, body=body, token=None, created_at=now)
    )


def release(connection: Connection, scope: str, key: str, token: str | None) -> None:
    """Give a claim back unanswered, so that the next call starts anew."""
    connection.execute(
        delete(answer).where(
            answer.c.scope == scope, answer.c.key == key, answer.c.token == token, answer.c.status.is_(None)
        )
    )


def prune(connection: Connection, now: int) -> None:
    """Forget answers that are older than the promise."""
    connection.execute(delete(answer).where(answer.c.created_at < now - KEPT))
