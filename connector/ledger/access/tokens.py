"""Named tokens: their digests and what they allow, never a token itself."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from connector.domain.access import Token
from connector.ledger.db.queries import insert_once
from connector.ledger.db.repository import Repository, glances, reads, writes
from connector.ledger.db.schema.access import token
from connector.ledger.events.ownership import end_owned

_BY_DIGEST = select(token).where(token.c.sha256 == bindparam("sha256"))


class Tokens(Repository):
    """Named tokens."""

    @writes
    def create(self, c: Connection, made: Token) -> bool:
        """Store a named token; False when its name was used before, also by a revoked one."""
        names = None if made.connections is None else json.dumps(made.connections)
        row = {**made._asdict(), "scopes": ",".join(made.scopes), "connections": names}
        return insert_once(c, token, **row)

    @glances
    def find(self, c: Connection, sha256: str) -> Token | None:
        """Return the token of a digest, revoked or not."""
        row = c.execute(_BY_DIGEST, {"sha256": sha256}).first()
        return None if row is None else _load(row)

    @reads
    def listed(self, c: Connection) -> list[Token]:
        """Return all named tokens by name."""
        return [_load(row) for row in c.execute(select(token).order_by(token.c.name))]

    @writes
    def revoke(self, c: Connection, name: str, now: int) -> tuple[int, int]:
        """Revoke a token; one that is revoked keeps its time.

        Its subscriptions and callbacks end with it; return how many of each.
        """
        live = token.c.name == name, token.c.revoked_at.is_(None)
        c.execute(update(token).where(*live).values(revoked_at=now))
        return end_owned(c, name)

    @writes
    def used(self, c: Connection, sha256: str, now: int) -> None:
        """Store that a token was used."""
        c.execute(update(token).where(token.c.sha256 == sha256).values(used_at=now))


def _load(row: Any) -> Token:
    names = None if row.connections is None else tuple(json.loads(row.connections))
    scopes = tuple(row.scopes.split(","))
    return Token(row.name, row.sha256, scopes, names, row.created_at, row.revoked_at, row.used_at)
