"""Events that the owner is alerted to: their mark goes once every address has the alert."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from connector.domain.events.event import Event, EventType
from connector.domain.lease import Lease
from connector.ledger.db.repository import Repository, fence, reads, writes
from connector.ledger.db.schema.events import event
from connector.ledger.events.hooks import load_event

_MOST = 1_000
_EVENT = tuple(event.c[name] for name in Event._fields)


class Alerts(Repository):
    """The alerts that are not sent yet."""

    @reads
    def due(self, c: Connection, parked: Sequence[str]) -> list[Event]:
        """Return the events to alert to, but for parked ones, oldest first and failed syncs last."""
        waiting = select(*_EVENT).where(
            event.c.alert.is_not(None), event.c.number.not_in([int(job) for job in parked])
        )
        ordered = waiting.order_by(event.c.type == EventType.SYNC_FAILED, event.c.number)
        return [load_event(row) for row in c.execute(ordered.limit(_MOST))]

    @writes
    def settle(self, c: Connection, lease: Lease, numbers: Sequence[int], quiet_until: int) -> None:
        """Store that alerts are sent, and the time of the next about failed syncs (ms).

        Raises `Conflict` when the lease was lost.
        """
        fence(c, lease, paced_until=quiet_until)
        c.execute(update(event).where(event.c.number.in_(numbers)).values(alert=None))
