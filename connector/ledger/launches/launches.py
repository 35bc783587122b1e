"""Launches: find, list, cancel and resume them; and count the downloads of cohorts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, literal_column, select, update

from connector.domain.launches.launch import Invitation, InvitationState, Launch, LaunchStatus, Phase
from connector.domain.launches.segments import Reached
from connector.domain.results.interview import SyncStatus
from connector.domain.results.sync import ListFilter
from connector.ledger.db.bulk import fetch, storable
from connector.ledger.db.dialect import lock_people
from connector.ledger.db.queries import newest_first
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.launches import download, invitation, launch, launch_source
from connector.ledger.db.schema.results import sync
from connector.ledger.launches.cohort_members import approve
from connector.ledger.launches.launch_row import (
    find_launch,
    finish,
    load_invitation,
    load_launch,
    move,
    select_invitations,
)

_OPEN = (LaunchStatus.PLANNING, LaunchStatus.PLANNED, LaunchStatus.RUNNING, LaunchStatus.PAUSED)
# as literals: a partial index is not used for parameters
_GOES_ON = launch.c.status.in_(list(map(literal_column, ("'paused'", "'planned'", "'running'"))))
_DOWNLOADS_KEPT = 32 * 86_400_000  # ms


class Launches(Repository):
    """Launches, and the downloads of cohorts."""

    @reads
    def find(self, c: Connection, launch_id: str) -> Launch | None:
        """Return one launch."""
        return find_launch(c, launch_id)

    @reads
    def listed(
        self, c: Connection, connection: str, where: ListFilter, *, limit: int, after: tuple[int, str] | None
    ) -> list[Launch]:
        """Return launches and plans, newest first, beginning after a (creation, launch id)."""
        query = select(launch).where(launch.c.connection == connection)
        if where.status is not None:
            query = query.where(launch.c.status == where.status)
        if where.reason is not None:
            query = query.where((launch.c.pause_reason == where.reason) | (launch.c.error == where.reason))
        page = newest_first(query, launch.c.created_at, launch.c.id, where, limit, after)
        return [load_launch(row) for row in c.execute(page)]

    @reads
    def unfinished(self, c: Connection, connection: str, now: int, limit: int) -> list[Launch]:
        """Return launches that run or are paused, and plans that can be used; paused first, then newest."""
        usable = (launch.c.status != LaunchStatus.PLANNED) | (launch.c.expires_at > now)
        query = select(launch).where(launch.c.connection == connection, _GOES_ON, usable)
        page = query.order_by(launch.c.status, launch.c.created_at.desc()).limit(limit)
        return [load_launch(row) for row in c.execute(page)]

    @reads
    def invitations(
        self, c: Connection, launch_id: str, states: Sequence[InvitationState], *, limit: int, after: int
    ) -> list[Invitation]:
        """Return invitations of a launch in these states, in the cohort's order, after a position."""
        query = select_invitations().where(
            invitation.c.launch_id == storable(launch_id),
            invitation.c.state.in_(states),
            invitation.c.position > after,
        )
        return [load_invitation(row) for row in fetch(c, query.order_by(invitation.c.position).limit(limit))]

    @reads
    def unreachable(self, c: Connection, launch_id: str, length: int) -> tuple[int, int]:
        """Count the people of a plan whose user id is shorter than `length`, and those without an e-mail."""
        is_short = func.length(invitation.c.user_id) < length
        without_email = func.count() - func.count(invitation.c.email)
        query = select(func.count().filter(is_short), without_email).where(
            invitation.c.launch_id == launch_id, invitation.c.state == InvitationState.PLANNED
        )
        short, without = c.execute(query).one()
        return short, without

    @reads
    def cells(self, c: Connection, launch_id: str) -> dict[str | None, tuple[int, int]]:
        """Count the people of a launch, and those who came back, by the value of its quota's property."""
        came = func.sum(case((invitation.c.state == InvitationState.COMPLETED, 1), else_=0))
        query = select(invitation.c.cell, func.count(), came).where(
            invitation.c.launch_id == launch_id, invitation.c.state != InvitationState.HOLDOUT
        )
        return {value: (n, int(back)) for value, n, back in c.execute(query.group_by(invitation.c.cell))}

    @reads
    def segments(self, c: Connection, launch_id: str) -> dict[str | None, Reached]:
        """Count how far the people of a launch came, by the property of its segments."""
        row = invitation.c
        interview = (sync.c.connection == row.connection) & (sync.c.interview_id == row.interview_id)
        sums = (
            func.sum(case((condition, 1), else_=0))
            for condition in (
                row.state.in_(("started", "completed", "expired")),
                row.state == InvitationState.COMPLETED,
                sync.c.status == SyncStatus.SYNCED,
            )
        )
        query = select(row.segment, *sums).join(sync, interview, isouter=True)
        query = query.where(row.launch_id == launch_id).group_by(row.segment)
        return {value: Reached(*map(int, counts)) for value, *counts in c.execute(query)}

    @reads
    def came_back(self, c: Connection, connection: str, before: int) -> tuple[int, int]:
        """Count the people invited by launches that began before a time, and those who came back."""
        invited = launch.c.started + launch.c.completed + launch.c.expired
        sums = (func.coalesce(func.sum(column), 0) for column in (invited, launch.c.completed))
        query = select(*sums).where(launch.c.connection == connection, launch.c.started_at < before)
        invited_then, came = c.execute(query).one()
        return invited_then, came

    @reads
    def in_phases(self, c: Connection, phases: Sequence[Phase]) -> list[Launch]:
        """Return launches in these phases, the longest due first."""
        query = select(launch).where(launch.c.phase.in_(phases))
        rows = c.execute(query.order_by(launch.c.phase_due, launch.c.created_at))
        return [load_launch(row) for row in rows]

    @writes
    def cancel(self, c: Connection, launch_id: str, now: int) -> Launch | None:
        """Cancel the starts that are not sent yet; an ended launch stays. None for an unknown launch."""
        lock_people(c)
        before = find_launch(c, launch_id, lock=True)
        if before is None or before.status not in _OPEN:
            return before
        for state in (InvitationState.PLANNED, InvitationState.WAITING):
            called_off = (
                update(invitation)
                .where(invitation.c.launch_id == before.id, invitation.c.state == state)
                .values(state=InvitationState.CANCELLED, taken_at=None, counted_day=None, updated_at=now)
            )
            move(c, before.id, state, "cancelled", c.execute(called_off).rowcount)
        c.execute(delete(launch_source).where(launch_source.c.launch_id == before.id))
        ended = {"status": LaunchStatus.CANCELLED, "phase": None, "phase_due": None, "pause_reason": None}
        c.execute(update(launch).where(launch.c.id == before.id).values(**ended, finished_at=now))
        return find_launch(c, before.id)

    @writes
    def resume(self, c: Connection, launch_id: str, in_doubt: str | None, now: int) -> Launch | None:
        """End a pause; starts of unknown outcome are tried again (`retry`) or given up (`give_up`)."""
        lock_people(c)
        before = find_launch(c, launch_id, lock=True)
        if before is None:
            return None
        doubtful = update(invitation).where(
            invitation.c.launch_id == before.id, invitation.c.state == InvitationState.IN_DOUBT
        )
        if in_doubt == "give_up":
            cleared = {"reason": "outcome_unknown", "due": None, "complete_due": None}
            given_up = doubtful.values(state=InvitationState.FAILED, updated_at=now, **cleared)
            move(c, before.id, "in_doubt", "failed", c.execute(given_up).rowcount)
        values: dict[str, Any] = {}
        if in_doubt == "retry" and before.status is not LaunchStatus.CANCELLED:
            # an interview for a pruned invitation, which names no person, would still cost credits
            startable = doubtful.where(invitation.c.pruned_at.is_(None))
            again = startable.values(
                state=InvitationState.WAITING, message=None, taken_at=now, updated_at=now
            )
            n = c.execute(again).rowcount
            move(c, before.id, "in_doubt", "waiting", n)
            if n and before.status is LaunchStatus.FINISHED:
                values = {"status": LaunchStatus.RUNNING, "finished_at": None}
        if before.standing:
            approve(c, before.id)
        if before.status is LaunchStatus.PAUSED:
            values = {"status": LaunchStatus.RUNNING, "pause_reason": None}
        if values:
            c.execute(update(launch).where(launch.c.id == before.id).values(**values))
            finish(c, before.id, now)
        return find_launch(c, before.id)

    @writes
    def note_download(self, c: Connection, lane: str, now: int) -> None:
        """Store a cohort download of an Amplitude project; delete those that are too old for any quota."""
        old = select(download.c.id).where(download.c.at < now - _DOWNLOADS_KEPT)
        c.execute(delete(download).where(download.c.id.in_(old.with_for_update(skip_locked=True))))
        c.execute(insert(download).values(lane=lane, at=now))

    @reads
    def downloads(self, c: Connection, lane: str, since: int) -> list[int]:
        """Return the times of cohort downloads since a time (ms), oldest first."""
        query = select(download.c.at).where(download.c.lane == lane, download.c.at >= since)
        return list(c.execute(query.order_by(download.c.at)).scalars())
