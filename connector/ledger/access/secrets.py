"""The ledger's own keys: made once, sealed with the encryption key, the same for every process."""

from __future__ import annotations

import hmac
import secrets
from typing import NamedTuple

from sqlalchemy import Connection, select

from connector.ledger.db.queries import insert_once
from connector.ledger.db.schema.access import secret
from connector.security.sealing import Sealer


class Keys(NamedTuple):
    """The keys of a ledger: `people` hashes persons, `plan` signs plans, `sealer` seals values."""

    people: bytes
    plan: bytes
    sealer: Sealer

    def keyed_hash(self, value: str) -> str:
        """Return 32 hex characters that stand for a person after pruning; only this ledger can make them."""
        return hmac.digest(self.people, value.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]

    def seal(self, value: str) -> str:
        """Seal a text. Call it inside the transaction that stores the result, because keys are rotated."""
        return self.sealer.seal(value.encode("utf-8", "replace")).decode("ascii")

    def open(self, sealed: str) -> str:
        """Open a sealed text. Raises `NotConfigured` for a lost key."""
        return self.sealer.open(sealed.encode("ascii")).decode()


def obtain(c: Connection, sealer: Sealer) -> Keys:
    """Return the ledger's keys, and make them at the first start. Raises `NotConfigured` for a lost key."""
    return Keys(_obtain(c, "tombstone", sealer), _obtain(c, "plan", sealer), sealer)


def _obtain(c: Connection, name: str, sealer: Sealer) -> bytes:
    insert_once(c, secret, name=name, sealed=sealer.seal(secrets.token_bytes(32)).decode("ascii"))
    stored: str = c.execute(select(secret.c.sealed).where(secret.c.name == name)).scalar_one()
    return sealer.open(stored.encode("ascii"))
