"""Bring back what was put off too far: its due time was set while the clock was ahead."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, true, update

from connector.domain.results.interview import Stage
from connector.ledger.db.repository import Repository, writes
from connector.ledger.db.schema.events import callback, hook_delivery
from connector.ledger.db.schema.launches import launch
from connector.ledger.db.schema.people import erasure
from connector.ledger.db.schema.results import sync

_HOUR = 3_600_000  # ms
_WAITS: Final[tuple[tuple[ColumnElement[int], int, ColumnElement[bool]], ...]] = (
    (sync.c.due, _HOUR, sync.c.stage.in_((Stage.READ, Stage.SEND))),
    (launch.c.phase_due, _HOUR, launch.c.phase.is_not(None)),
    (erasure.c.due, _HOUR, true()),
    (hook_delivery.c.due, 4 * _HOUR, true()),
    (callback.c.due, 4 * _HOUR, true()),
)
"""The column of each due time, its longest wait (ms), and the rows that it goes for."""


class Overdue(Repository):
    """Due times of all subjects."""

    @writes
    def bring_back(self, c: Connection, now: int) -> int:
        """Make everything due that is due later than after its longest wait; return how many rows changed."""
        changed = 0
        for due, longest, which in _WAITS:
            too_far = update(due.table).where(which, due > now + longest)
            changed += c.execute(too_far.values({due: now})).rowcount
        return changed
