"""Pauses of running launches: stored until they are resumed, or only told where they end by themselves.

What ends by itself is told once: the event is its own mark, so that neither a restart nor another process
tells it again.
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
from connector.ledger.db.schema import event, launch
from connector.ledger.launches.launch_row import lock_launches, tell_launch
from connector.ledger.runtime import leases
from connector.text.json import loads

_COMES_AND_GOES: Final = 600_000
"""A Koji that answers now and then is told once in this time (ms)."""


class LaunchPauses(Repository):
    """Pauses of running launches."""

    @writes
    def pause(self, c: Connection, connections: Sequence[str], code: str, now: int) -> int:
        """Pause the running launches of connections until they are resumed; return how many."""
        mine = launch.c.connection.in_(connections) & (launch.c.status == LaunchStatus.RUNNING)
        lock_launches(c, mine)
        rest = update(launch).where(mine).values(status=LaunchStatus.PAUSED, pause_reason=code)
        paused = c.execute(rest.returning(launch.c.id)).scalars().all()
        for launch_id in paused:
            tell_launch(c, EventType.LAUNCH_PAUSED, launch_id, now, code)
        return len(paused)

    @writes
    def await_koji(
        self, c: Connection, connections: Sequence[str], rest: Pause, began: int, now: int
    ) -> None:
        """Let a key's lane pause until Koji answers, and tell the running launches of connections.

        Each is told once since `began` (ms; 0: once at all), and once in ten minutes if Koji comes and goes.
        """
        leases.pause(c, rest.lane, rest.until, rest.code, rest.words)
        since = min(began, now - _COMES_AND_GOES)
        _tell_once(c, launch.c.connection.in_(connections), KOJI_UNREACHABLE, rest.until, now, since)

    @fenced
    def await_day(self, c: Connection, launch_id: str, now: int) -> None:
        """Tell, once a UTC day, that a running launch waits for the credits of the next."""
        _tell_once(c, launch.c.id == launch_id, DAILY_CREDITS, next_day(now), now, day_start(now))


def _tell_once(
    c: Connection, which: ColumnElement[bool], reason: str, resumes_at: int, now: int, since: int
) -> None:
    """Tell running launches that were not told this reason since a time (ms)."""
    running = select(launch.c.id).where(which, launch.c.status == LaunchStatus.RUNNING)
    # kept for this transaction: another one that is about to tell them sees afterwards that they were told
    ids = c.execute(running.order_by(launch.c.id).with_for_update()).scalars().all()
    before = select(event.c.subject, event.c.told).where(
        event.c.subject.in_(ids), event.c.type == EventType.LAUNCH_PAUSED, event.c.at >= since
    )
    known = {subject for subject, told in c.execute(before) if _reason(told) == reason}
    for launch_id in ids:
        if launch_id not in known:
            tell_launch(c, EventType.LAUNCH_PAUSED, launch_id, now, reason, resumes_at)


def _reason(told: str) -> str | None:
    reason: str | None = loads(told).get("pause_reason")
    return reason
