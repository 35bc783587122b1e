"""Pauses of running launches.

A pause that ends by itself is not stored; only its event is. The stored event keeps it from being announced
again, also after a restart or by another process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, select, update

from connector.domain.events.event import EventType
from connector.domain.launches.credits import day_start, next_day
from connector.domain.launches.launch import DAILY_CREDITS, KOJI_UNREACHABLE, LaunchStatus
from connector.domain.lease import Pause
from connector.ledger.db.repository import Repository, fenced, writes
from connector.ledger.db.schema.events import event
from connector.ledger.db.schema.launches import launch
from connector.ledger.launches.launch_row import lock_launches, tell_launch
from connector.ledger.runtime import connection_pauses
from connector.text.json import loads

_COMES_AND_GOES: Final = 600_000
"""When Koji answers only now and then, its pauses are announced once in this time (ms)."""


class LaunchPauses(Repository):
    """Pauses of running launches."""

    @writes
    def pause(self, c: Connection, connections: Sequence[str], code: str, now: int) -> int:
        """Pause the running launches of connections until they are resumed; return how many."""
        return _pause(c, launch.c.connection.in_(connections), code, now)

    @fenced
    def pause_one(self, c: Connection, launch_id: str, code: str, now: int) -> None:
        """Pause a running launch until it is resumed."""
        _pause(c, launch.c.id == launch_id, code, now)

    @writes
    def await_koji(
        self,
        c: Connection,
        connections: Sequence[str],
        starting: Sequence[str],
        paused: Pause,
        began: int,
        now: int,
    ) -> None:
        """Pause a key's lane and its connections until Koji answers.

        Each running launch of those that start interviews gets one event since `began` (ms; 0: one at all),
        and at most one in ten minutes.
        """
        connection_pauses.begin(c, connections, paused, now)
        since = min(began, now - _COMES_AND_GOES)
        _announce_once(c, launch.c.connection.in_(starting), KOJI_UNREACHABLE, paused.until, now, since)

    @fenced
    def await_day(self, c: Connection, launch_id: str, now: int) -> None:
        """Announce, once a UTC day, that a running launch waits for the credits of the next day."""
        _announce_once(c, launch.c.id == launch_id, DAILY_CREDITS, next_day(now), now, day_start(now))


def _pause(c: Connection, which: ColumnElement[bool], code: str, now: int) -> int:
    are_running = which & (launch.c.status == LaunchStatus.RUNNING)
    lock_launches(c, are_running)
    paused = update(launch).where(are_running).values(status=LaunchStatus.PAUSED, pause_reason=code)
    launch_ids = c.execute(paused.returning(launch.c.id)).scalars().all()
    for launch_id in launch_ids:
        tell_launch(c, EventType.LAUNCH_PAUSED, launch_id, now, code)
    return len(launch_ids)


def _announce_once(
    c: Connection, which: ColumnElement[bool], reason: str, resumes_at: int, now: int, since: int
) -> None:
    """Store events for running launches that have none with this reason since a time (ms)."""
    running = select(launch.c.id).where(which, launch.c.status == LaunchStatus.RUNNING)
    # locked, so that another transaction that is about to store such events sees these afterwards
    ids = c.execute(running.order_by(launch.c.id).with_for_update()).scalars().all()
    stored = select(event.c.subject, event.c.payload).where(
        event.c.subject.in_(ids), event.c.type == EventType.LAUNCH_PAUSED, event.c.at >= since
    )
    announced = {row[0] for row in c.execute(stored) if loads(row[1]).get("pause_reason") == reason}
    for launch_id in ids:
        if launch_id not in announced:
            tell_launch(c, EventType.LAUNCH_PAUSED, launch_id, now, reason, resumes_at)
