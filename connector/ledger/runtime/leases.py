"""Who works a lane: one process at a time, fenced by a token that grows with every owner."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, or_, select, text, update

from connector.domain.lease import Lease, Pause
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema import lane

_CLOCK_SET_BACK = 20
"""A lease that ends after so many times its length was taken before the clock was set back."""

_ENSURE = text(
    "INSERT INTO lane (name, until, token, paced_until, paused_until) VALUES (:name, 0, 0, 0, 0) "
    "ON CONFLICT (name) DO NOTHING"
)


class Leases(Repository):
    """Leases and pauses of lanes."""

    @writes
    def acquire(self, c: Connection, name: str, owner: str, now: int, ttl: int) -> Lease | None:
        """Take a lane that is free; None when it is held. `ttl` is in ms."""
        free = or_(lane.c.until < now, lane.c.until > now + _CLOCK_SET_BACK * ttl)
        # looked at first, so that those who wait for a lane do not wait for its owner's transactions
        is_free = c.execute(select(free).where(lane.c.name == name)).scalar()
        if is_free is None:
            c.execute(_ENSURE, {"name": name})
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
        """Prolong a lease; None when it was lost."""
        changed = c.execute(
            update(lane).where(lane.c.name == lease.lane, lane.c.token == lease.token).values(until=now + ttl)
        )
        return replace(lease, until=now + ttl) if changed.rowcount else None

    @writes
    def release(self, c: Connection, lease: Lease) -> None:
        """Give a lane back so that the next owner need not wait for the lease to end."""
        c.execute(
            update(lane)
            .where(lane.c.name == lease.lane, lane.c.token == lease.token)
            .values(until=0, owner=None)
        )

    @writes
    def pause(self, c: Connection, name: str, until: int, code: str, words: str) -> None:
        """Let a lane rest: until a time (ms), or until it is resumed."""
        pause(c, name, until, code, words)

    @writes
    def resume(self, c: Connection, name: str) -> bool:
        """End a pause; return whether there was one."""
        changed = c.execute(
            update(lane)
            .where(lane.c.name == name, lane.c.pause_code.is_not(None))
            .values(paused_until=0, pause_code=None, pause_words=None)
        )
        return changed.rowcount > 0

    @reads
    def pauses(self, c: Connection) -> list[Pause]:
        """Return the lanes that rest, with reasons."""
        found = c.execute(select(lane).where(lane.c.pause_code.is_not(None)).order_by(lane.c.name))
        return [Pause(row.name, row.paused_until, row.pause_code, row.pause_words or "") for row in found]


def pause(c: Connection, name: str, until: int, code: str, words: str) -> None:
    """Let a lane rest."""
    c.execute(_ENSURE, {"name": name})
    c.execute(
        update(lane).where(lane.c.name == name).values(paused_until=until, pause_code=code, pause_words=words)
    )
