"""Starts of invitations: the owner of a lane takes them, then settles them by Koji's answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, exists, func, select, update

from connector.domain.events.event import EventType
from connector.domain.launches.credits import Spending, day_of, launch_lane
from connector.domain.launches.eligibility import LaunchRules, SkipReason, repeat_reason
from connector.domain.launches.launch import Invitation, InvitationState, LaunchStatus, StartResult
from connector.domain.lease import Lease
from connector.domain.people.same_person import OPTED_OUT
from connector.domain.results.anonymity import is_anonymous_or_erased
from connector.ledger.db.bulk import storable
from connector.ledger.db.queries import earliest, first, insert_once
from connector.ledger.db.repository import Repository, fenced, reads
from connector.ledger.db.schema.launches import credit, invitation, launch
from connector.ledger.db.schema.results import sync
from connector.ledger.events import events
from connector.ledger.launches.attribution import unbind
from connector.ledger.launches.launch_row import (
    finish,
    load_invitation,
    lock_invitations,
    move,
    select_invitations,
)
from connector.ledger.people import aliases
from connector.ledger.results.sync_row import load_facts
from connector.text.json import loads

_AHEAD = InvitationState.PLANNED, InvitationState.WAITING, InvitationState.HOLDOUT
_REACHED = launch.c.started, launch.c.completed, launch.c.expired, launch.c.in_doubt


class Invitations(Repository):
    """Invitations and their starts. Methods that take a lease raise `Conflict` when it was lost."""

    async def find(self, invitation_id: str) -> Invitation | None:
        """Return one invitation."""
        return (await self.find_many([invitation_id])).get(invitation_id)

    @reads
    def find_many(self, c: Connection, invitation_ids: Sequence[str]) -> Mapping[str, Invitation]:
        """Return invitations by id; unknown ids are left out."""
        query = select_invitations().where(invitation.c.id.in_(list(map(storable, invitation_ids))))
        return {found.id: found for found in map(load_invitation, c.execute(query))}

    @fenced
    def in_doubt(self, c: Connection, invitation_id: str, message: str, now: int) -> None:
        """Store that it is unknown whether an interview was started; its credits stay spent."""
        _settle(c, invitation_id, InvitationState.IN_DOUBT, now, {"message": storable(message)})

    @reads
    def credits_left(self, c: Connection, credit_lane: str, cap: int, now: int) -> int:
        """Return how many credits of the UTC day are left."""
        return _credits_left(c, credit_lane, cap, now)

    @reads
    def next_waiting(
        self,
        c: Connection,
        connections: Sequence[str],
        *,
        single: bool,
        a_day: int = 0,
        except_launches: Collection[str] = (),
        except_ids: Collection[str] = (),
    ) -> Invitation | None:
        """Return the next invitation to start: the first of the oldest running launch that has one waiting.

        Where more people of a standing launch wait than `a_day`, they are started in the order of their
        draws, so that those of each day are a fair sample; others in the cohort's order. The launches
        `except_launches` and the invitations `except_ids` are left out.
        """
        free = (
            invitation.c.state == InvitationState.WAITING,
            invitation.c.held.is_(None),
            invitation.c.id.not_in(except_ids),
        )
        oldest = (
            select(launch.c.id, launch.c.standing, launch.c.waiting, *_REACHED)
            .where(
                launch.c.connection.in_(connections),
                launch.c.status == LaunchStatus.RUNNING,
                launch.c.waiting > 0,
                launch.c.single == single,
                launch.c.id.not_in(except_launches),
            )
            .order_by(launch.c.started_at, launch.c.id)
            .limit(1)
        )
        has_free = exists().where(invitation.c.launch_id == launch.c.id, *free)
        # elsewhere the number of those who wait says as much
        oldest = oldest.where(has_free if except_ids else launch.c.wave_due.is_(None) | has_free)
        row = c.execute(oldest).first()
        if row is None:
            return None
        waiting = select_invitations().where(invitation.c.launch_id == row.id, *free)
        if row.standing and sum(row[2:]) > a_day:
            waiting = waiting.order_by(invitation.c.draw)
        return first(c, waiting.order_by(invitation.c.position), load_invitation)

    async def begin_start(self, lease: Lease | None, taken: Invitation, spending: Spending, now: int) -> str:
        """Store that an interview is about to be started, and spend its credits.

        Returns `sending`, `held` (the day's credits do not suffice), `full` (the launch started its
        `people_a_day`) or `gone`: it was cancelled meanwhile, or the person was erased, opted out, or turned
        out to be a person whom another invitation reached.
        """
        try:
            return await self._begin_start(lease, taken, spending, now)
        except _SpentError:
            return "held"

    @fenced
    def _begin_start(self, c: Connection, taken: Invitation, spending: Spending, now: int) -> str:
        people, people_lane = spending.people_a_day, launch_lane(taken.launch_id)
        if _credits_left(c, spending.lane, spending.cap, now) < spending.cost:
            return "held"
        if people is not None and _credits_left(c, people_lane, people, now) < 1:
            return "full"
        lock_invitations(c, invitation.c.id == taken.id)
        runs = exists().where(launch.c.id == invitation.c.launch_id, launch.c.status == LaunchStatus.RUNNING)
        waits = update(invitation).where(
            invitation.c.id == taken.id, invitation.c.state == InvitationState.WAITING, runs
        )
        said_no = OPTED_OUT in aliases.behind(c, [taken.register or 0]).values()
        reason = _reached(c, taken, now)
        if reason or said_no or aliases.forgotten(c, [taken.person]):
            called_off = waits.values(
                state=InvitationState.CANCELLED, reason=reason, taken_at=None, updated_at=now
            )
            move(c, taken.launch_id, "waiting", "cancelled", c.execute(called_off).rowcount)
            finish(c, taken.launch_id, now)
            return "gone"
        values = {"state": InvitationState.SENDING, "sending_since": now, "taken_at": now, "updated_at": now}
        if not c.execute(waits.values(**values)).rowcount:
            return "gone"
        move(c, taken.launch_id, "waiting", "sending")
        if not spend(c, spending.lane, day_of(now), spending.cost, spending.cap):
            raise _SpentError  # another process spent them meanwhile
        if people is not None:
            spend(c, people_lane, day_of(now), 1)
        return "sending"

    @fenced
    def started(self, c: Connection, invitation_id: str, result: StartResult, now: int) -> None:
        """Store the interview, link and session token of a start.

        An invitation whose interview came back before the answer to its start keeps that interview.
        """
        token = result.session_token
        values: dict[str, Any] = {
            "interview_id": storable(result.interview_id),
            "link": storable(result.link),
            "session_token": None if token is None else self.keys.seal(token),
            "due": result.due,
            "complete_due": result.complete_due,
            "started_at": now,
            "taken_at": now,
        }
        query = select(invitation.c.connection).where(invitation.c.id == invitation_id)
        if (name := c.execute(query).scalar()) is not None:
            events.tell(c, [events.Happened(EventType.INVITATION_CREATED, name, now, invitation_id, {})])
        if _settle(c, invitation_id, InvitationState.STARTED, now, values) is None:
            back = update(invitation).where(
                invitation.c.id == invitation_id, invitation.c.sending_since.is_not(None)
            )
            c.execute(back.values(sending_since=None, link=storable(result.link), started_at=now))
        if result.interview_id is not None:
            _unbind_anonymous(c, invitation_id, result.interview_id)

    @fenced
    def not_started(self, c: Connection, invitation_id: str, spending: Spending, now: int) -> None:
        """Let an invitation wait again, with its credits, when Koji surely started no interview.

        When its launch was cancelled meanwhile, the invitation is cancelled too.
        """
        lock_invitations(c, invitation.c.id == invitation_id)
        launch_id = select(invitation.c.launch_id).where(invitation.c.id == invitation_id).scalar_subquery()
        query = select(launch.c.id, launch.c.status, launch.c.standing).where(launch.c.id == launch_id)
        row = c.execute(query).first()
        called_off = row is not None and row.status == LaunchStatus.CANCELLED
        state = InvitationState.CANCELLED if called_off else InvitationState.WAITING
        values = {"taken_at": None} if called_off else {}
        if (since := _settle(c, invitation_id, state, now, values)) is not None:
            spend(c, spending.lane, day_of(since), -spending.cost)
            if row is not None and row.standing:
                spend(c, launch_lane(row.id), day_of(since), -1)

    @fenced
    def failed(
        self, c: Connection, invitation_id: str, reason: str, message: str, spending: Spending, now: int
    ) -> None:
        """Store that Koji refused this invitation; a later launch may invite the person."""
        values = {"reason": reason, "message": storable(message), "taken_at": None}
        since = _settle(c, invitation_id, InvitationState.FAILED, now, values)
        if since is not None:
            spend(c, spending.lane, day_of(since), -spending.cost)

    @fenced
    def given_up(self, c: Connection, invitation_id: str, reason: str, message: str, now: int) -> None:
        """End an invitation that waits and cannot be started; a later launch may invite the person."""
        lock_invitations(c, invitation.c.id == invitation_id)
        waits = (invitation.c.id == invitation_id) & (invitation.c.state == InvitationState.WAITING)
        ended = (
            update(invitation)
            .where(waits)
            .values(
                state=InvitationState.FAILED, reason=reason, message=message, taken_at=None, updated_at=now
            )
        )
        for launch_id in c.execute(ended.returning(invitation.c.launch_id)).scalars().all():
            move(c, launch_id, "waiting", "failed")
            finish(c, launch_id, now)

    @fenced
    def recover(self, c: Connection, connections: Sequence[str], now: int) -> int:
        """Give an unknown outcome to starts that their owner did not settle; return how many."""
        query = select(invitation.c.id).where(
            invitation.c.connection.in_(connections), invitation.c.sending_since.is_not(None)
        )
        lost = c.execute(query.order_by(invitation.c.id)).scalars().all()
        lock_invitations(c, invitation.c.id.in_(lost))
        for invitation_id in lost:
            message = "The connector stopped before Koji's answer."
            _settle(c, invitation_id, InvitationState.IN_DOUBT, now, {"message": message})
        c.execute(update(invitation).where(invitation.c.id.in_(lost)).values(sending_since=None))
        return len(lost)

    @reads
    def due(
        self, c: Connection, connections: Sequence[str], now: int, *, complete: bool
    ) -> Invitation | None:
        """Return the longest due invitation whose silent interview must be read, or with `complete` ended."""
        column = invitation.c.complete_due if complete else invitation.c.due
        query = select_invitations().where(invitation.c.connection.in_(connections), column <= now)
        return first(c, query.order_by(column), load_invitation)

    @reads
    def next_due(self, c: Connection, connections: Sequence[str]) -> int | None:
        """Return when the next silent interview must be read or ended (ms)."""
        in_connections = invitation.c.connection.in_(connections)
        times = [earliest(c, time, in_connections) for time in (invitation.c.due, invitation.c.complete_due)]
        return min((at for at in times if at is not None), default=None)

    @fenced
    def polled(self, c: Connection, invitation_id: str, due_at: int | None, now: int) -> None:
        """Store that a silent interview was read: it is read again at `due_at`, or with None expired."""
        lock_invitations(c, invitation.c.id == invitation_id)
        silent = (invitation.c.id == invitation_id) & (invitation.c.state == InvitationState.STARTED)
        if due_at is not None:
            # an invitation without an interview turned out anonymous when it was read
            silent &= invitation.c.interview_id.is_not(None)
        values: dict[str, Any] = {"due": due_at, "polls": invitation.c.polls + 1}
        if due_at is None:
            values |= {"state": InvitationState.EXPIRED, "complete_due": None, "updated_at": now}
        if c.execute(update(invitation).where(silent).values(**values)).rowcount and due_at is None:
            launch_id = c.execute(
                select(invitation.c.launch_id).where(invitation.c.id == invitation_id)
            ).scalar_one()
            move(c, launch_id, "started", "expired")

    @fenced
    def completing(self, c: Connection, invitation_id: str, due_at: int | None) -> None:
        """Store when a silent interview must be ended (ms), or None if it need not be."""
        c.execute(update(invitation).where(invitation.c.id == invitation_id).values(complete_due=due_at))


class _SpentError(Exception):
    """The day's credits do not suffice, so that nothing of a transaction may stay."""


def spend(c: Connection, lane: str, day: int, n: int, most: int | None = None) -> bool:
    """Spend credits of a day, up to `most` in all; return whether they sufficed. Less than 0 gives back."""
    insert_once(c, credit, lane=lane, day=day, n=0)
    more = update(credit).where(credit.c.lane == lane, credit.c.day == day).values(n=credit.c.n + n)
    return c.execute(more if most is None else more.where(credit.c.n <= most - n)).rowcount > 0


def _reached(c: Connection, taken: Invitation, now: int) -> SkipReason | None:
    """Return why a person may not be started again: another invitation turned out to be theirs."""
    other = invitation.alias()
    person = select(invitation.c.person).where(invitation.c.id == taken.id).scalar_subquery()
    at = c.execute(
        select(func.max(other.c.taken_at)).where(
            other.c.person == person, other.c.id != taken.id, other.c.state.not_in(_AHEAD)
        )
    ).scalar()
    if at is None:
        return None
    options = c.execute(select(launch.c.options).where(launch.c.id == taken.launch_id)).scalar_one()
    return repeat_reason(at, LaunchRules(1, loads(options)["reinvite_after_days"]), now)


def _credits_left(c: Connection, lane: str, cap: int, now: int) -> int:
    query = select(credit.c.n).where(credit.c.lane == lane, credit.c.day == day_of(now))
    return cap - int(c.execute(query).scalar() or 0)


def _unbind_anonymous(c: Connection, invitation_id: str, interview_id: str) -> None:
    """Erase the link to an interview that turned out anonymous before the answer to its start came."""
    connection = select(invitation.c.connection).where(invitation.c.id == invitation_id).scalar_subquery()
    query = select(sync.c.connection, sync.c.reason, sync.c.facts).where(
        sync.c.connection == connection, sync.c.interview_id == storable(interview_id)
    )
    row = c.execute(query).first()
    if row is not None and is_anonymous_or_erased(row.reason, load_facts(row.facts)):
        unbind(c, [(row.connection, interview_id)])


def _settle(
    c: Connection, invitation_id: str, state: InvitationState, now: int, values: Mapping[str, Any]
) -> int | None:
    """End the sending of an invitation in a state; return when it began, or None if it had ended before."""
    lock_invitations(c, invitation.c.id == invitation_id)
    sent = select(invitation.c.launch_id, invitation.c.sending_since).where(
        invitation.c.id == invitation_id, invitation.c.state == InvitationState.SENDING
    )
    row = c.execute(sent).first()
    if row is None:  # its interview came back before the answer
        if state is not InvitationState.STARTED:  # `started` has more to store
            over = update(invitation).where(invitation.c.id == invitation_id)
            c.execute(over.values(sending_since=None))
        return None
    settled = update(invitation).where(invitation.c.id == invitation_id)
    c.execute(settled.values(**{"state": state, "sending_since": None, "updated_at": now, **values}))
    move(c, row.launch_id, "sending", state)
    finish(c, row.launch_id, now)
    return int(row.sending_since)
