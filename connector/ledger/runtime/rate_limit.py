"""The rate limit of a Koji key, shared by every process: one row, changed with one statement.

The generic cell rate algorithm without burst: calls stand at least one interval apart, so that no window of
60 s holds more than the limit. Interactive calls stand two intervals apart, so that they take half at most.
An interactive call that has to wait reserves the next call of that half, so that no other caller is faster.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, or_, select, update

from connector.ledger.db.queries import insert_once
from connector.ledger.db.repository import Repository, writes
from connector.ledger.db.schema.runtime import rate_limit as table

CLOCK_SET_BACK: Final = 120_000
"""A next call that is further away than this was set before the clock was set back (ms)."""

RESERVED: Final = 500
"""How long a reserved call stays so once it may be made (ms): its caller may oversleep."""


class RateLimit(Repository):
    """The rate limits of Koji keys."""

    @writes
    def take(self, c: Connection, key: str, now: int, interval: int, *, interactive: bool) -> int:
        """Take one call of a key. Returns 0 when it is granted, or else the milliseconds to wait."""
        insert_once(c, table, name=key, next_at=0, next_interactive_at=0, reserved_until=0)
        both = [table.c.next_at, table.c.next_interactive_at]
        columns = both if interactive else both[:1]
        # a small difference between two machines' clocks must not count as a clock that was set back
        too_late = now + 2 * interval + CLOCK_SET_BACK
        free = [or_(column <= now, column > too_late) for column in columns]
        if not interactive:
            reserved = (table.c.reserved_until > now) & (table.c.reserved_until <= too_late)
            free.append(~reserved | (table.c.next_interactive_at > now))
        taken = {column: now + (position + 1) * interval for position, column in enumerate(columns)}
        granted = c.execute(update(table).where(table.c.name == key, *free).values(taken))
        if granted.rowcount:
            return 0
        row = c.execute(select(*both, table.c.reserved_until).where(table.c.name == key)).one()
        at = max(row[:2]) if interactive else row.next_at
        if interactive:
            c.execute(update(table).where(table.c.name == key).values(reserved_until=at + RESERVED))
        elif at <= now:
            at = row.reserved_until
        return int(max(1, at - now))
