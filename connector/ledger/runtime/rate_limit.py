"""A key's calls a minute, shared by every process: one row, taken with one statement.

The generic cell rate algorithm without burst: calls stand at least one interval apart, so that no window of
60 s ever holds more than the limit. Interactive calls stand two intervals apart: they take half at most.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, or_, select, text, update

from connector.ledger.db.repository import Repository, writes
from connector.ledger.db.schema import budget

CLOCK_SET_BACK: Final = 120_000
"""A budget that is closed for longer than this was taken before the clock was set back (ms)."""

_ENSURE = text(
    "INSERT INTO budget (name, next_at, next_interactive_at) VALUES (:name, 0, 0) "
    "ON CONFLICT (name) DO NOTHING"
)


class RateLimit(Repository):
    """The calls of keys."""

    @writes
    def take(self, c: Connection, key: str, now: int, interval: int, *, interactive: bool) -> int:
        """Take one call: 0 when granted, else the milliseconds until it is worth asking again."""
        c.execute(_ENSURE, {"name": key})
        columns = [budget.c.next_at, budget.c.next_interactive_at] if interactive else [budget.c.next_at]
        # processes on machines whose clocks differ a little must not take each other's calls for such a clock
        too_late = now + 2 * interval + CLOCK_SET_BACK
        free = [or_(column <= now, column > too_late) for column in columns]
        taken = {column: now + (position + 1) * interval for position, column in enumerate(columns)}
        granted = c.execute(update(budget).where(budget.c.name == key, *free).values(taken))
        if granted.rowcount:
            return 0
        row = c.execute(select(*columns).where(budget.c.name == key)).one()
        return int(max(1, max(row) - now))
