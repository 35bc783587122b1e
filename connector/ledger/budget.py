"""A key's calls a minute, shared by every process: one row, taken with one statement.

The generic cell rate algorithm without burst: calls stand at least one interval apart, so that no window of 60 s
ever holds more than the limit. Interactive calls stand two intervals apart, so that they take half at most.
"""

from __future__ import annotations

from sqlalchemy import Connection, case, or_, select, text, update

from connector.ledger.schema import budget


def take(connection: Connection, key: str, now: int, interval: int, *, interactive: bool) -> int:
    """Take one call: 0 when granted, else the milliseconds until it is worth asking again."""
    connection.execute(
        text(
            "INSERT INTO budget (name, next_at, next_interactive_at) VALUES (:name, 0, 0) ON CONFLICT (name) DO NOTHING"
        ),
        {"name": key},
    )
    # a clock that was set back must not close the budget for longer than one interval
    free = or_(budget.c.next_at <= now, budget.c.next_at > now + interval)
    free_interactive = or_(
        budget.c.next_interactive_at <= now, budget.c.next_interactive_at > now + 2 * interval
    )
    granted = connection.execute(
        update(budget)
        .where(budget.c.name == key, free, *([free_interactive] if interactive else []))
        .values(
            next_at=now + interval,
            next_interactive_at=now + 2 * interval if interactive else case((free_interactive, now), else_=budget.c.next_interactive_at),
        )
    )
    if granted.rowcount:
        return 0
    row = connection.execute(select(budget).where(budget.c.name == key)).one()
    return int(max(1, row.next_at - now, row.next_interactive_at - now if interactive else 0))
