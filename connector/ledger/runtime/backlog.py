"""The backlog of each kind of work, for metrics."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, func, select

from connector.domain.launches.launch import InvitationState, LaunchStatus
from connector.domain.results.interview import Stage
from connector.ledger.db.repository import Repository, reads
from connector.ledger.db.schema.events import callback, event, hook_delivery
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.db.schema.results import inbox, sync


class Waiting(NamedTuple):
    """How many jobs of a lane wait, and since when the oldest does (ms; None without one)."""

    lane: str
    depth: int
    since: int | None


_OF_EVENT = hook_delivery.join(event, event.c.number == hook_delivery.c.event_number)
_OF_LAUNCH = launch.join(invitation, invitation.c.launch_id == launch.c.id)
_STARTS = (launch.c.status == LaunchStatus.RUNNING) & (invitation.c.state == InvitationState.WAITING)
_LANES: Final[dict[str, Select[int, Any]]] = {
    lane: select(func.count(), func.min(since)).select_from(table).where(which)
    for lane, table, since, which in (
        ("intake", inbox, inbox.c.received_at, inbox.c.state == "new"),
        ("koji_reads", sync, sync.c.first_received_at, sync.c.stage == Stage.READ),
        ("koji_starts", _OF_LAUNCH, invitation.c.created_at, _STARTS),
        ("amplitude", sync, sync.c.first_received_at, sync.c.stage == Stage.SEND),
        ("hooks", _OF_EVENT, event.c.at, hook_delivery.c.due.is_not(None)),
        ("callbacks", callback, callback.c.ready_at, callback.c.ready_at.is_not(None)),
    )
}


class Backlog(Repository):
    """The backlog of all lanes."""

    @reads
    def of_lanes(self, c: Connection) -> list[Waiting]:
        """Return the backlog of each kind of lane."""
        return [Waiting(lane, *row) for lane, query in _LANES.items() for row in c.execute(query)]
