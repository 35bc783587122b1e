"""Attribution: join interviews to the invitations whose external id they carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, or_, select, tuple_, update

from connector.domain.launches.launch import Invitation, InvitationState, Invited
from connector.domain.launches.start import SCHEDULE
from connector.domain.people.user_id import user_id_of
from connector.domain.results.respondent import is_ours
from connector.domain.results.sync import Sync
from connector.ledger.db.bulk import storable
from connector.ledger.db.queries import first
from connector.ledger.db.repository import Repository, reads
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.launches.launch_row import (
    finish,
    load_invitation,
    lock_invitations,
    move,
    select_invitations,
)
from connector.ledger.people.aliases import behind, is_erased
from connector.text.json import loads

_DAY = 86_400_000


class Attribution(Repository):
    """The invitations of interviews."""

    async def invited(self, connection: str, external_ids: Iterable[str]) -> Mapping[str, Invited]:
        """Return invitees by external id, without those who were erased or whose names were pruned."""
        ours = sorted(set(filter(is_ours, external_ids)))
        return await self._invited(connection, ours) if ours else {}

    @reads
    def _invited(self, c: Connection, connection: str, ours: Sequence[str]) -> dict[str, Invited]:
        mine = invitation.c.id.in_(ours) & (invitation.c.connection == connection)
        columns = launch.c.id.label("launch"), launch.c.cohort_id, launch.c.cohort_name, launch.c.options
        query = (
            select(invitation.c.id, invitation.c.user_id, invitation.c.email, *columns)
            .join(launch, launch.c.id == invitation.c.launch_id)
            .where(mine, ~is_erased(invitation.c.person))
        )
        invited: dict[str, Invited] = {}
        for row in c.execute(query):
            options = loads(row.options)
            if invitee := user_id_of(row.user_id) or row.email:
                of_launch = row.launch, row.cohort_id, row.cohort_name, options["variant"], options["mode"]
                invited[row.id] = Invited(invitee, *of_launch)
        return invited

    @reads
    def of_interview(self, c: Connection, connection: str, interview_id: str) -> Invitation | None:
        """Return the invitation that an interview belongs to."""
        query = select_invitations().where(
            invitation.c.connection == connection, invitation.c.interview_id == storable(interview_id)
        )
        return first(c, query, load_invitation)

    @reads
    def of_person(self, c: Connection, keys: Sequence[int]) -> Invitation | None:
        """Return the newest invitation that counts as the invitation of the person behind these aliases."""
        persons = sorted(set(behind(c, keys).values()))
        query = select_invitations().where(
            invitation.c.person.in_(persons), invitation.c.taken_at.is_not(None)
        )
        return first(c, query.order_by(invitation.c.taken_at.desc()), load_invitation)


def lock(c: Connection, syncs: Sequence[Sync], anonymous: Sequence[tuple[str, str]]) -> None:
    """Lock all invitations that `bind` and `unbind` may change, at once."""
    ours = [facts.external_id for sync in syncs if (facts := sync.facts) and facts.invitee]
    if ours or anonymous:
        keys = [(connection, storable(interview_id)) for connection, interview_id in anonymous]
        theirs = tuple_(invitation.c.connection, invitation.c.interview_id).in_(keys)
        lock_invitations(c, or_(invitation.c.id.in_(ours), theirs))


def bind(c: Connection, syncs: Sequence[Sync]) -> None:
    """Join interviews that came back with our external id to their invitations, whatever their own ids."""
    for sync in syncs:
        facts = sync.facts
        if facts is not None and facts.invitee is not None and facts.external_id is not None:
            _bind(c, sync, facts.external_id, has_ended=facts.has_ended)


def _bind(c: Connection, sync: Sync, external_id: str, *, has_ended: bool) -> None:
    query = select_invitations().where(
        invitation.c.id == external_id, invitation.c.connection == sync.connection
    )
    row = c.execute(query).first()
    if row is None:
        return
    was = load_invitation(row)
    has_ended = has_ended or was.state is InvitationState.COMPLETED
    state = InvitationState.COMPLETED if has_ended else InvitationState.STARTED
    if was.state is state and was.interview_id == sync.interview_id:
        return
    now = sync.updated_at
    values: dict[str, Any] = {
        "state": state,
        "interview_id": storable(sync.interview_id),
        "due": None,
        "reason": None,
        "message": None,
        "taken_at": was.taken_at or was.started_at or now,
        "updated_at": now,
    }
    if was.interview_id not in (None, sync.interview_id):
        values["session_token"] = None  # the token is of the interview that was started and not held
    if has_ended or "session_token" in values:
        values["complete_due"] = None
    c.execute(update(invitation).where(invitation.c.id == external_id).values(**values))
    move(c, was.launch_id, was.state, state)
    finish(c, was.launch_id, now)


def unbind(c: Connection, keys: Sequence[tuple[str, str]]) -> int:
    """Erase the links between interviews without a respondent and invitations; return how many.

    The caller has locked the invitations. Times are rounded to the day, because an interview's id may tell
    when it was made; the person's time is rounded up, so that no new invitation comes earlier.
    A completed invitation becomes started, like every invitation whose interview is unknown.
    """
    unbound = 0
    for connection, interview_id in keys:
        mine = and_(
            invitation.c.connection == connection, invitation.c.interview_id == storable(interview_id)
        )
        for row in c.execute(select(invitation.c.launch_id, invitation.c.state).where(mine)).all():
            if row.state == InvitationState.COMPLETED:
                move(c, row.launch_id, row.state, InvitationState.STARTED)
        after = invitation.c.taken_at + _DAY - 1
        # the interview can no longer be read: the invitation only expires
        unread = invitation.c.started_at - invitation.c.started_at % _DAY + SCHEDULE[-1]
        begun = invitation.c.state.in_((InvitationState.STARTED, InvitationState.COMPLETED))
        due = case((begun, unread), else_=None)
        state = case((begun, InvitationState.STARTED), else_=invitation.c.state)
        times = {
            column.name: column - column % _DAY
            for column in (invitation.c.created_at, invitation.c.updated_at, invitation.c.started_at)
        }
        gone = dict.fromkeys(("interview_id", "link", "session_token", "complete_due", "sending_since"))
        values = {**gone, **times, "state": state, "due": due, "polls": 0, "taken_at": after - after % _DAY}
        unbound += c.execute(update(invitation).where(mine).values(**values)).rowcount
    return unbound
