"""Keys that live in the book: made once, sealed with the encryption key, the same for every process."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable

from sqlalchemy import Connection, select, text

from connector.ledger.db.schema import secret

Seal = Callable[[bytes], bytes]
Open = Callable[[bytes], bytes]
_INSERT = text("INSERT INTO secret (name, sealed) VALUES (:name, :sealed) ON CONFLICT (name) DO NOTHING")


def obtain(c: Connection, name: str, seal: Seal, unseal: Open) -> bytes:
    """Return the key of that name, made now if there is none. Raises what `unseal` raises."""
    sealed = seal(secrets.token_bytes(32)).decode("ascii")
    c.execute(_INSERT, {"name": name, "sealed": sealed})
    stored: str = c.execute(select(secret.c.sealed).where(secret.c.name == name)).scalar_one()
    return unseal(stored.encode("ascii"))


def keyed_hash(key: bytes, value: str) -> str:
    """Return what stays of a person after pruning: 32 hex characters that only this book can make again."""
    return hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]
