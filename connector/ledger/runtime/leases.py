"""Leases: one process at a time owns a lane, fenced by a token that grows with every owner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection, or_, select, update

from connector.domain.lease import Lease, Pause
from connector.ledger.db.queries import insert_once
from connector.ledger.db.repository import Repository, owned, reads, writes
from connector.ledger.db.schema.runtime import lane

_CLOCK_SET_BACK = 20
"""A lease that ends in more than this many times its length was taken before the clock was set back."""


class Leases(Repository):
    """Leases and pauses of lanes."""

    @writes
    def acquire(self, c: Connection, name: str, owner: str, now: int, ttl: int) -> Lease | None:
        """Take a free lane for `ttl` ms; return its lease, or None if another process owns the lane."""
        free = or_(lane.c.until < now, lane.c.until > now + _CLOCK_SET_BACK * ttl)
        # read first, so that a process that waits for a lane does not wait for its owner's transactions
        is_free = c.execute(select(free).where(lane.c.name == name)).scalar()
        if is_free is None:
            _ensure(c, name)
        elif not is_free:
            return None
        row = c.execute(
            update(lane)
            .where(lane.c.name == name, free)
            .values(owner=owner, until=now + ttl, token=lane.c.token + 1)
            .returning(lane.c.token, lane.c.paced_until)
        ).first()
        return None if row is None else Lease(name, owner, row.token, now + ttl, row.paced_until)

    @writes
    def renew(self, c: Connection, lease: Lease, now: int, ttl: int) -> Lease | None:
        """Prolong a lease; return it, or None if it was lost."""
        changed = c.execute(owned(lease).values(until=now + ttl))
        return replace(lease, until=now + ttl) if changed.rowcount else None

    @writes
    def release(self, c: Connection, lease: Lease) -> None:
        """Release a lane, so that the next owner need not wait for the end of the lease."""
        c.execute(owned(lease).values(until=0, owner=None))

    def announce(self, kinds: Iterable[str]) -> None:
        """Tell workers of these kinds in other processes that there may be work, where the database can."""
        self.db.announce(kinds)

    @writes
    def pause(self, c: Connection, name: str, until: int, code: str, message: str) -> None:
        """Pause a lane until a time (ms) or until it is resumed."""
        pause(c, name, until, code, message)

    @writes
    def resume(self, c: Connection, name: str) -> bool:
        """End a pause; return whether there was one."""
        return resume(c, name)

    @reads
    def pauses(self, c: Connection) -> list[Pause]:
        """Return the pauses of lanes, with their reasons."""
        rows = c.execute(select(lane).where(lane.c.pause_code.is_not(None)).order_by(lane.c.name))
        return [Pause(row.name, row.paused_until, row.pause_code, row.pause_message or "") for row in rows]


def pause(c: Connection, name: str, until: int, code: str, message: str) -> None:
    """Pause a lane until a time (ms) or until it is resumed."""
    _ensure(c, name)
    values = {"paused_until": until, "pause_code": code, "pause_message": message}
    c.execute(update(lane).where(lane.c.name == name).values(values))


def resume(c: Connection, name: str) -> bool:
    """End a pause; return whether there was one."""
    changed = c.execute(
        update(lane)
        .where(lane.c.name == name, lane.c.pause_code.is_not(None))
        .values(paused_until=0, pause_code=None, pause_message=None)
    )
    return changed.rowcount > 0


def _ensure(c: Connection, name: str) -> None:
    insert_once(c, lane, name=name, until=0, token=0, paced_until=0, paused_until=0)
