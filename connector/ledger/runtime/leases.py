"""Who works a lane: one process at a time, fenced by a token that grows with every owner."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select, text, update

from connector.domain.lease import Lease, Pause
from connector.errors import Conflict
from connector.ledger.db.schema import lane

_CLOCK_SET_BACK = 20
"""A lease that ends after so many times its length was taken before the clock was set back."""

_ENSURE = text(
    "INSERT INTO lane (name, until, token, paced_until, paused_until) VALUES (:name, 0, 0, 0, 0) "
    "ON CONFLICT (name) DO NOTHING"
)


def acquire(c: Connection, name: str, owner: str, now: int, ttl: int) -> Lease | None:
    """Take a lane that nobody holds."""
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


def renew(c: Connection, lease: Lease, now: int, ttl: int) -> Lease | None:
    """Prolong a lease that is still ours."""
    changed = c.execute(
        update(lane).where(lane.c.name == lease.lane, lane.c.token == lease.token).values(until=now + ttl)
    )
    return (
        Lease(lease.lane, lease.owner, lease.token, now + ttl, lease.paced_until)
        if changed.rowcount
        else None
    )


def release(c: Connection, lease: Lease) -> None:
    """Give a lane back so that the next owner need not wait for the lease to end."""
    c.execute(
        update(lane).where(lane.c.name == lease.lane, lane.c.token == lease.token).values(until=0, owner=None)
    )


def fence(c: Connection, lease: Lease, *, paced_until: int | None = None) -> None:
    """Refuse to go on when the lane has a newer owner. Raises `Conflict`."""
    query = update(lane).where(lane.c.name == lease.lane, lane.c.token == lease.token)
    changed = c.execute(query.values(paced_until=lane.c.paced_until if paced_until is None else paced_until))
    if not changed.rowcount:
        raise Conflict("Another process works this lane now.", code="lease_lost")


def pause(c: Connection, name: str, until: int, code: str, words: str) -> None:
    """Let a lane rest."""
    c.execute(_ENSURE, {"name": name})
    c.execute(
        update(lane).where(lane.c.name == name).values(paused_until=until, pause_code=code, pause_words=words)
    )


def resume(c: Connection, name: str) -> bool:
    """End a pause."""
    changed = c.execute(
        update(lane)
        .where(lane.c.name == name, lane.c.pause_code.is_not(None))
        .values(paused_until=0, pause_code=None, pause_words=None)
    )
    return changed.rowcount > 0


def pauses(c: Connection) -> list[Pause]:
    """Return the lanes that rest."""
    found = c.execute(select(lane).where(lane.c.pause_code.is_not(None)).order_by(lane.c.name))
    return [Pause(row.name, row.paused_until, row.pause_code, row.pause_words or "") for row in found]
