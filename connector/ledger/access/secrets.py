"""Keys that live in the ledger: made once, sealed with the encryption key, the same for every process."""

from __future__ import annotations

import hmac
import secrets
from typing import NamedTuple

from sqlalchemy import Connection, select, text

from connector.ledger.db.schema import secret
from connector.security.sealing import Sealer

_INSERT = text("INSERT INTO secret (name, sealed) VALUES (:name, :sealed) ON CONFLICT (name) DO NOTHING")


class Keys(NamedTuple):
    """The keys of a ledger: `people` hashes who is in it, `plan` signs plans, `sealer` seals values."""

    people: bytes
    plan: bytes
    sealer: Sealer

    def keyed_hash(self, value: str) -> str:
        """Return what stays of a person after pruning: 32 hex characters that only this ledger makes."""
        return hmac.digest(self.people, value.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]

    def seal(self, value: str) -> str:
        """Return a text sealed. Call it inside the transaction that stores the answer: keys are rotated."""
        return self.sealer.seal(value.encode("utf-8", "replace")).decode("ascii")

    def open(self, sealed: str) -> str:
        """Return the text that was sealed. Raises `NotConfigured` for a lost key."""
        return self.sealer.open(sealed.encode("ascii")).decode()


def obtain(c: Connection, sealer: Sealer) -> Keys:
    """Return the ledger's keys, made now if there are none. Raises what opening them raises."""
    return Keys(_obtain(c, "tombstone", sealer), _obtain(c, "plan", sealer), sealer)


def _obtain(c: Connection, name: str, sealer: Sealer) -> bytes:
    sealed = sealer.seal(secrets.token_bytes(32)).decode("ascii")
    c.execute(_INSERT, {"name": name, "sealed": sealed})
    stored: str = c.execute(select(secret.c.sealed).where(secret.c.name == name)).scalar_one()
    return sealer.open(stored.encode("ascii"))
