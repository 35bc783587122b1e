"""Reseal with the first key what other keys sealed, in chunks between which others may write."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, select, update

from connector.errors import NotConfigured
from connector.ledger.db.schema.access import secret
from connector.ledger.db.schema.events import callback, hook
from connector.ledger.db.schema.launches import invitation
from connector.ledger.db.schema.people import erasure
from connector.ledger.ledger import Ledger
from connector.security.sealing import Sealer

SEALED: tuple[tuple[Column[Any], Column[Any]], ...] = (
    (secret.c.name, secret.c.sealed),
    (invitation.c.id, invitation.c.session_token),
    (erasure.c.run_id, erasure.c.sealed),
    (hook.c.id, hook.c.secret),
    (callback.c.id, callback.c.target_url),
)
"""Every sealed column, after the key of its table."""

CHUNK = 200


@dataclass(slots=True)
class Tally:
    """Sealed values: all, `old` that another key than the first sealed, `lost` that no key opens."""

    values: int = 0
    old: int = 0
    lost: int = 0


async def reseal(ledger: Ledger, sealer: Sealer, *, change: bool = True) -> Tally:
    """Reseal what the first key did not seal, or with `change` False only count.

    After an interruption it may be run again.
    """
    tally = Tally()
    run = ledger.db.write if change else ledger.db.read
    for key, sealed in SEALED:
        after: str | None = ""
        while after is not None:
            part, after = await run(partial(_chunk, key, sealed, after, sealer, change=change))
            tally.values += part.values
            tally.old += part.old
            tally.lost += part.lost
    return tally


def _chunk(
    key: Column[Any], sealed: Column[Any], after: str, sealer: Sealer, c: Connection, *, change: bool
) -> tuple[Tally, str | None]:
    """Reseal some rows of a column in the order of their key; return the last key, None after the last row.

    May run more than once.
    """
    query = select(key, sealed).where(sealed.is_not(None), key > after).order_by(key).limit(CHUNK)
    rows = c.execute(query).all()
    tally = Tally(values=len(rows))
    for name, value in rows:
        if sealer.is_first(value.encode("ascii")):
            continue
        try:
            plain = sealer.open(value.encode("ascii"))
        except NotConfigured:
            tally.lost += 1
            continue
        tally.old += 1
        if change:
            # only the value that was read: on PostgreSQL the row may have changed meanwhile
            resealed = sealer.seal(plain).decode("ascii")
            c.execute(update(key.table).where(key == name, sealed == value).values({sealed.name: resealed}))
    return tally, rows[-1][0] if len(rows) == CHUNK else None
