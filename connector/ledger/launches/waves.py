"""Waves: let some people of a launch wait for a start, hold the others, stop when enough came back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, select, update

from connector.domain.launches.launch import InvitationState, Launch, LaunchStatus
from connector.domain.launches.waves import BETWEEN, Answer, next_wave
from connector.domain.results.interview import SyncStatus
from connector.ledger.db.dialect import lock_people
from connector.ledger.db.queries import earliest
from connector.ledger.db.repository import Repository, fenced, reads
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.db.schema.results import sync
from connector.ledger.launches.launch_row import find_launch, finish, move

ENOUGH = "enough"
_LOOK_AGAIN = 600_000  # ms
_GOOD = (SyncStatus.SYNCED, SyncStatus.FAILED)  # also one that Amplitude refused passed the quality gate
_LOST = (InvitationState.FAILED, InvitationState.CANCELLED, InvitationState.EXPIRED)
_Answers = dict[str | None, list[Answer]]


class Waves(Repository):
    """The waves of launches that stop when enough interviews came back."""

    @reads
    def due(self, c: Connection, connections: Sequence[str], now: int) -> list[str]:
        """Return the running launches whose answers must be counted."""
        theirs = launch.c.connection.in_(connections) & (launch.c.status == LaunchStatus.RUNNING)
        return list(c.execute(select(launch.c.id).where(theirs, launch.c.wave_due <= now)).scalars())

    @reads
    def next_due(self, c: Connection, connections: Sequence[str]) -> int | None:
        """Return when answers must be counted next (ms)."""
        running = launch.c.status == LaunchStatus.RUNNING
        return earliest(c, launch.c.wave_due, launch.c.connection.in_(connections) & running)

    @reads
    def answers(self, c: Connection, launch_id: str) -> _Answers:
        """Return the answers of the people invited so far, by cell of the quota."""
        return _answers(c, launch_id)

    @fenced
    def step(self, c: Connection, launch_id: str, now: int) -> None:
        """Count the answers: call off the people of a cell that has enough, or let the next ones wait."""
        lock_people(c)
        one = find_launch(c, launch_id, lock=True)
        if one is None or one.status is not LaunchStatus.RUNNING or one.options.stop_after_completed is None:
            return
        answers = _answers(c, launch_id)
        held = (invitation.c.launch_id == launch_id) & invitation.c.held
        is_time = one.next_wave_at is None or one.next_wave_at <= now
        for cell in {*answers, *c.execute(select(invitation.c.cell).where(held).distinct()).scalars()}:
            of_cell = invitation.c.cell.is_(None) if cell is None else invitation.c.cell == cell
            wave = next_wave(one.options.stop_after_completed, answers[cell], now)
            if wave.completed >= one.options.stop_after_completed:
                _call_off(c, one, and_(invitation.c.launch_id == launch_id, of_cell), now)
            elif is_time and wave.size:
                first = select(invitation.c.id).where(held, of_cell)
                first = first.order_by(invitation.c.draw, invitation.c.position).limit(wave.size)
                c.execute(update(invitation).where(invitation.c.id.in_(first)).values(held=None))
        more = c.execute(select(invitation.c.id).where(held).limit(1)).first() is not None
        at = (now + BETWEEN if is_time else one.next_wave_at) if more else None
        values = {"wave_due": now + _LOOK_AGAIN, "next_wave_at": at}
        c.execute(update(launch).where(launch.c.id == launch_id).values(**values))
        finish(c, launch_id, now)


def hold(c: Connection, one: Launch, now: int) -> None:
    """Hold the people of a launch that invites in waves, until its first wave."""
    if one.options.stop_after_completed is not None:
        mine = invitation.c.launch_id == one.id
        c.execute(update(invitation).where(mine, invitation.c.state == "waiting").values(held=True))
        c.execute(update(launch).where(launch.c.id == one.id).values(wave_due=now))


def _call_off(c: Connection, one: Launch, which: ColumnElement[bool], now: int) -> None:
    waits = which & (invitation.c.state == InvitationState.WAITING)
    values = {"state": InvitationState.CANCELLED, "reason": ENOUGH, "held": None, "taken_at": None}
    n = c.execute(update(invitation).where(waits).values(**values, updated_at=now)).rowcount
    move(c, one.id, "waiting", "cancelled", n)


def _answers(c: Connection, launch_id: str) -> _Answers:
    row = invitation.c
    interview = (sync.c.connection == row.connection) & (sync.c.interview_id == row.interview_id)
    query = (
        select(row.cell, row.state, row.taken_at, sync.c.status)
        .join(sync, interview, isouter=True)
        .where(row.launch_id == launch_id, row.held.is_(None), row.taken_at.is_not(None))
    )
    answers: _Answers = defaultdict(list)
    for cell, state, at, status in c.execute(query):
        ended = state in _LOST or (status is not None and status != SyncStatus.PENDING)
        is_good = state == InvitationState.COMPLETED and status in _GOOD
        answers[cell].append(Answer(at, is_good, is_open=not ended))
    return answers
