"""Seals anew, with the first key, what other keys sealed: in pieces that let others write in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, select, update

from connector.errors import NotConfigured
from connector.ledger.db.schema import (
    callback,
    forgetting,
    hook,
    invitation,
    secret,
)
from connector.ledger.ledger import Book
from connector.security.sealing import Sealer

SEALED: tuple[tuple[Column[Any], Column[Any]], ...] = (
    (secret.c.name, secret.c.sealed),
    (invitation.c.id, invitation.c.session_token),
    (forgetting.c.run_id, forgetting.c.sealed),
    (hook.c.id, hook.c.secret),
    (callback.c.id, callback.c.target_url),
)
"""Every sealed column, after the key of its table."""

PIECE = 200


@dataclass(slots=True)
class Tally:
    """How many values there are, how many another key than the first sealed, and how many no key opens."""

    values: int = 0
    old: int = 0
    lost: int = 0


async def count(book: Book, sealer: Sealer) -> Tally:
    """Count, and change nothing."""
    return await _walk(book, sealer, change=False)


async def reseal(book: Book, sealer: Sealer) -> Tally:
    """Seal anew what the first key did not seal; cut short, it may be run again."""
    return await _walk(book, sealer, change=True)


async def _walk(book: Book, sealer: Sealer, *, change: bool) -> Tally:
    tally = Tally()
    for key, sealed in SEALED:
        after: str | None = ""
        while after is not None:
            piece = _Piece(key, sealed, after, sealer, change=change)
            found, after = await (book.write(piece) if change else book.read(piece))
            tally.values += found.values
            tally.old += found.old
            tally.lost += found.lost
    return tally


class _Piece:
    """Some rows of one column, in the order of their key; may run more than once."""

    def __init__(
        self, key: Column[Any], sealed: Column[Any], after: str, sealer: Sealer, *, change: bool
    ) -> None:
        self._key, self._sealed, self._after, self._sealer = key, sealed, after, sealer
        self._change = change

    def __call__(self, c: Connection) -> tuple[Tally, str | None]:
        """Return what was found, and the last key unless there is no more."""
        key, sealed = self._key, self._sealed
        rows = c.execute(
            select(key, sealed).where(sealed.is_not(None), key > self._after).order_by(key).limit(PIECE)
        ).all()
        tally = Tally(values=len(rows))
        for name, value in rows:
            if self._sealer.is_first(value.encode("ascii")):
                continue
            try:
                plain = self._sealer.open(value.encode("ascii"))
            except NotConfigured:
                tally.lost += 1
                continue
            tally.old += 1
            if self._change:
                # only what was read: the row may have changed meanwhile (PostgreSQL)
                again = self._sealer.seal(plain).decode("ascii")
                c.execute(update(key.table).where(key == name, sealed == value).values({sealed.name: again}))
        return tally, rows[-1][0] if len(rows) == PIECE else None
