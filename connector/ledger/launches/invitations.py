"""Invitations on their way to Koji: taken by the owner of the lane, settled by what Koji answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, exists, func, select, text, update

from connector.domain.events.event import EventType
from connector.domain.launches.credits import day_of, launch_lane
from connector.domain.launches.launch import Invitation, InvitationState, LaunchStatus, StartResult
from connector.domain.results.anonymity import is_anonymous_or_erased
from connector.ledger.db.bulk import storable
from connector.ledger.db.repository import Repository, fenced, reads
from connector.ledger.db.schema import credit, invitation, launch, sync
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

_ENSURE_DAY = text(
    "INSERT INTO credit (lane, day, n) VALUES (:lane, :day, 0) ON CONFLICT (lane, day) DO NOTHING"
)


class Invitations(Repository):
    """Invitations on their way. Methods that take a lease raise `Conflict` when it was lost."""

    async def find(self, invitation_id: str) -> Invitation | None:
        """Return one invitation."""
        return (await self.find_many([invitation_id])).get(invitation_id)

    @reads
    def find_many(self, c: Connection, invitation_ids: Sequence[str]) -> Mapping[str, Invitation]:
        """Return those invitations that are there, by id."""
        query = select_invitations().where(invitation.c.id.in_([storable(one) for one in invitation_ids]))
        return {one.id: one for one in map(load_invitation, c.execute(query))}

    @fenced
    def in_doubt(self, c: Connection, invitation_id: str, words: str, now: int) -> None:
        """Note that it is not known whether an interview was started; its credits stay counted."""
        _in_doubt(c, invitation_id, words, now)

    @reads
    def credits_left(self, c: Connection, credit_lane: str, cap: int, now: int) -> int:
        """Return how many credits of the UTC day are left."""
        return _credits_left(c, credit_lane, cap, now)

    def session_token(self, sealed: str) -> str:
        """Return a session token. Works without the database; raises `NotConfigured` for a lost key."""
        return self.keys.open(sealed)

    @reads
    def next_waiting(
        self, c: Connection, connections: Sequence[str], *, single: bool, besides: Collection[str] = ()
    ) -> Invitation | None:
        """Return who is next: of the oldest running launch that has members waiting, in the cohort's order.

        The launches `besides` are left alone.
        """
        oldest = (
            select(launch.c.id)
            .where(
                launch.c.connection.in_(connections),
                launch.c.status == LaunchStatus.RUNNING,
                launch.c.waiting > 0,
                launch.c.single == single,
                launch.c.id.not_in(besides),
            )
            .order_by(launch.c.started_at, launch.c.id)
            .limit(1)
        )
        launch_id = c.execute(oldest).scalar()
        if launch_id is None:
            return None
        first = select_invitations().where(
            invitation.c.launch_id == launch_id, invitation.c.state == InvitationState.WAITING
        )
        row = c.execute(first.order_by(invitation.c.position).limit(1)).first()
        return None if row is None else load_invitation(row)

    @fenced
    def begin_start(
        self,
        c: Connection,
        one: Invitation,
        *,
        credit_lane: str,
        cost: int,
        cap: int,
        now: int,
        people_a_day: int | None = None,
    ) -> str:
        """Commit that an interview is about to be started, and its credits.

        Returns `sending`, `held` (the day's credits do not suffice), `full` (the launch started its
        `people_a_day`) or `gone` (called off meanwhile, or the person was erased since they wait).
        """
        if _credits_left(c, credit_lane, cap, now) < cost:
            return "held"
        people_lane = launch_lane(one.launch_id)
        if people_a_day is not None and _credits_left(c, people_lane, people_a_day, now) < 1:
            return "full"
        lock_invitations(c, invitation.c.id == one.id)
        runs = exists().where(launch.c.id == invitation.c.launch_id, launch.c.status == LaunchStatus.RUNNING)
        taken = update(invitation).where(
            invitation.c.id == one.id, invitation.c.state == InvitationState.WAITING, runs
        )
        if aliases.forgotten(c, [one.person]):
            called_off = taken.values(state=InvitationState.CANCELLED, taken_at=None, updated_at=now)
            move(c, one.launch_id, "waiting", "cancelled", c.execute(called_off).rowcount)
            finish(c, one.launch_id, now)
            return "gone"
        values = {"state": InvitationState.SENDING, "sending_since": now, "taken_at": now, "updated_at": now}
        if not c.execute(taken.values(**values)).rowcount:
            return "gone"
        move(c, one.launch_id, "waiting", "sending")
        spend(c, credit_lane, day_of(now), cost)
        if people_a_day is not None:
            spend(c, people_lane, day_of(now), 1)
        return "sending"

    @fenced
    def started(self, c: Connection, invitation_id: str, handed: StartResult, now: int) -> None:
        """Store what a person was handed.

        One whose interview came back before the answer to its start keeps the interview that came back.
        """
        token = handed.session_token
        values: dict[str, Any] = {
            "interview_id": storable(handed.interview_id),
            "link": storable(handed.link),
            "session_token": None if token is None else self.keys.seal(token),
            "due": handed.due,
            "complete_due": handed.complete_due,
            "started_at": now,
            "taken_at": now,
        }
        tell_invited(c, invitation_id, now)
        if _settle(c, invitation_id, InvitationState.STARTED, now, values) is None:
            back = update(invitation).where(
                invitation.c.id == invitation_id, invitation.c.sending_since.is_not(None)
            )
            c.execute(back.values(sending_since=None, link=storable(handed.link), started_at=now))
        if handed.interview_id is not None:
            _unbind_anonymous(c, invitation_id, handed.interview_id)

    @fenced
    def not_started(
        self, c: Connection, invitation_id: str, *, credit_lane: str, cost: int, now: int
    ) -> None:
        """Put back a start that surely did not happen, with its credits; or call it off with its launch."""
        lock_invitations(c, invitation.c.id == invitation_id)
        mine = select(invitation.c.launch_id).where(invitation.c.id == invitation_id).scalar_subquery()
        row = c.execute(
            select(launch.c.id, launch.c.status, launch.c.standing).where(launch.c.id == mine)
        ).first()
        called_off = row is not None and row.status == LaunchStatus.CANCELLED
        state = InvitationState.CANCELLED if called_off else InvitationState.WAITING
        values = {"taken_at": None} if called_off else None
        if (since := _settle(c, invitation_id, state, now, values)) is not None:
            spend(c, credit_lane, day_of(since), -cost)
            if row is not None and row.standing:
                spend(c, launch_lane(row.id), day_of(since), -1)

    @fenced
    def failed(
        self,
        c: Connection,
        invitation_id: str,
        reason: str,
        words: str,
        *,
        credit_lane: str,
        cost: int,
        now: int,
    ) -> None:
        """Note that Koji refused this one person; a later launch may invite them."""
        values = {"reason": reason, "words": storable(words), "taken_at": None}
        since = _settle(c, invitation_id, InvitationState.FAILED, now, values)
        if since is not None:
            spend(c, credit_lane, day_of(since), -cost)

    @fenced
    def recover(self, c: Connection, connections: Sequence[str], now: int) -> int:
        """Give starts that their owner never settled an unknown outcome; return how many."""
        query = select(invitation.c.id).where(
            invitation.c.connection.in_(connections), invitation.c.sending_since.is_not(None)
        )
        lost = c.execute(query.order_by(invitation.c.id)).scalars().all()
        lock_invitations(c, invitation.c.id.in_(lost))
        for invitation_id in lost:
            _in_doubt(c, invitation_id, "The connector stopped before Koji's answer.", now)
        c.execute(update(invitation).where(invitation.c.id.in_(lost)).values(sending_since=None))
        return len(lost)

    @reads
    def due(
        self, c: Connection, connections: Sequence[str], now: int, *, complete: bool
    ) -> Invitation | None:
        """Return the longest silent invitation that must be read, or with `complete` ended."""
        column = invitation.c.complete_due if complete else invitation.c.due
        query = select_invitations().where(invitation.c.connection.in_(connections), column <= now)
        row = c.execute(query.order_by(column).limit(1)).first()
        return None if row is None else load_invitation(row)

    @reads
    def next_due(self, c: Connection, connections: Sequence[str]) -> int | None:
        """Return when the next silent invitation must be read or ended."""
        found = [
            c.execute(select(func.min(column)).where(invitation.c.connection.in_(connections))).scalar()
            for column in (invitation.c.due, invitation.c.complete_due)
        ]
        return min((at for at in found if at is not None), default=None)

    @fenced
    def polled(self, c: Connection, invitation_id: str, due_at: int | None, now: int) -> None:
        """Note that a silent one was read: again at `due_at`, or expired."""
        lock_invitations(c, invitation.c.id == invitation_id)
        silent = (invitation.c.id == invitation_id) & (invitation.c.state == InvitationState.STARTED)
        if due_at is not None:
            silent &= invitation.c.interview_id.is_not(None)  # else it turned out anonymous when it was read
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
        """Note when a silent one must be ended again; None: no more."""
        c.execute(update(invitation).where(invitation.c.id == invitation_id).values(complete_due=due_at))


def spend(c: Connection, lane: str, day: int, n: int) -> None:
    """Count credits of a day; negative ones are given back."""
    c.execute(_ENSURE_DAY, {"lane": lane, "day": day})
    c.execute(update(credit).where(credit.c.lane == lane, credit.c.day == day).values(n=credit.c.n + n))


def _credits_left(c: Connection, lane: str, cap: int, now: int) -> int:
    """Return how many credits of the UTC day are left."""
    query = select(credit.c.n).where(credit.c.lane == lane, credit.c.day == day_of(now))
    return cap - int(c.execute(query).scalar() or 0)


def _unbind_anonymous(c: Connection, invitation_id: str, interview_id: str) -> None:
    """Undo the link to an interview that turned out anonymous before the answer to its start came."""
    mine = select(invitation.c.connection).where(invitation.c.id == invitation_id).scalar_subquery()
    known = select(sync.c.connection, sync.c.reason, sync.c.facts).where(
        sync.c.connection == mine, sync.c.interview_id == storable(interview_id)
    )
    row = c.execute(known).first()
    if row is not None and is_anonymous_or_erased(row.reason, load_facts(row.facts)):
        unbind(c, [(row.connection, interview_id)])


def tell_invited(c: Connection, invitation_id: str, now: int) -> None:
    """Tell that a person has a link."""
    name = c.execute(select(invitation.c.connection).where(invitation.c.id == invitation_id)).scalar()
    if name is not None:
        told = events.Happened(EventType.INVITATION_CREATED, name, now, invitation_id, {})
        events.tell(c, [told])


def _in_doubt(c: Connection, invitation_id: str, words: str, now: int) -> None:
    _settle(c, invitation_id, InvitationState.IN_DOUBT, now, {"words": storable(words)})


def _settle(
    c: Connection,
    invitation_id: str,
    state: InvitationState,
    now: int,
    values: dict[str, Any] | None = None,
) -> int | None:
    """Move one that is being sent; return when that began, or None when it is no longer being sent."""
    lock_invitations(c, invitation.c.id == invitation_id)
    sent = select(invitation.c.launch_id, invitation.c.sending_since).where(
        invitation.c.id == invitation_id, invitation.c.state == InvitationState.SENDING
    )
    row = c.execute(sent).first()
    if row is None:  # its interview came back before the answer: there is nothing left to recover
        if state is not InvitationState.STARTED:  # `started` has more to store
            over = update(invitation).where(invitation.c.id == invitation_id)
            c.execute(over.values(sending_since=None))
        return None
    settled = update(invitation).where(invitation.c.id == invitation_id)
    c.execute(settled.values(**{"state": state, "sending_since": None, "updated_at": now, **(values or {})}))
    move(c, row.launch_id, "sending", state)
    finish(c, row.launch_id, now)
    return int(row.sending_since)
