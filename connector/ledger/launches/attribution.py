"""Attribution: join interviews to the invitations whose external id they carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, or_, select, tuple_, update

from connector.domain.launches.eligibility import Choice, SkipReason
from connector.domain.launches.launch import Invitation, InvitationState, Invited
from connector.domain.launches.start import SCHEDULE
from connector.domain.people.same_person import KeyedMember
from connector.domain.people.user_id import user_id_of
from connector.domain.results.respondent import is_ours
from connector.domain.results.sync import Sync
from connector.ledger.db.bulk import storable
from connector.ledger.db.dialect import lock_people
from connector.ledger.db.queries import first
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.launches.filling import fill
from connector.ledger.launches.launch_row import (
    finish,
    load_invitation,
    lock_invitations,
    move,
    select_invitations,
)
from connector.ledger.people.aliases import behind, is_erased, learn
from connector.ledger.people.scatter import TO_DO
from connector.text.json import loads

_DAY = 86_400_000  # ms


class Attribution(Repository):
    """The invitations of interviews."""

    async def invited(self, connection: str, external_ids: Iterable[str]) -> Mapping[str, Invited]:
        """Return invitees by external id, without those who were erased or whose names were pruned."""
        invitation_ids = sorted(set(filter(is_ours, external_ids)))
        return await self._invited(connection, invitation_ids) if invitation_ids else {}

    @reads
    def _invited(self, c: Connection, connection: str, invitation_ids: Sequence[str]) -> dict[str, Invited]:
        in_connection = invitation.c.id.in_(invitation_ids) & (invitation.c.connection == connection)
        columns = launch.c.id.label("launch"), launch.c.cohort_id, launch.c.cohort_name, launch.c.options
        query = (
            select(invitation.c.id, invitation.c.user_id, invitation.c.email, *columns)
            .join(launch, launch.c.id == invitation.c.launch_id)
            .where(in_connection, ~is_erased(invitation.c.person))
        )
        invited: dict[str, Invited] = {}
        for row in c.execute(query):
            options = loads(row.options)
            if invitee := user_id_of(row.user_id) or row.email:
                launched = row.launch, row.cohort_id, row.cohort_name, options["variant"], options["mode"]
                invited[row.id] = Invited(invitee, *launched)
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

    @writes
    def learn(self, c: Connection, keyed: KeyedMember) -> None:
        """Add new aliases of a known person, and fill in what the invitations of the person lack."""
        lock_people(c)
        row = Choice(*keyed, SkipReason.ALREADY)
        fill(c, [row], learn(c, [row]))


def lock(c: Connection, syncs: Sequence[Sync], anonymous: Sequence[tuple[str, str]]) -> None:
    """Lock, in one statement, all invitations that `bind` and `unbind` may change."""
    invitation_ids = [facts.external_id for sync in syncs if (facts := sync.facts) and facts.invitee]
    if invitation_ids or anonymous:
        keys = [(connection, storable(interview_id)) for connection, interview_id in anonymous]
        by_interview = tuple_(invitation.c.connection, invitation.c.interview_id).in_(keys)
        lock_invitations(c, or_(invitation.c.id.in_(invitation_ids), by_interview))


def bind(c: Connection, syncs: Sequence[Sync]) -> None:
    """Store with each invitation the interview that carries its id, even if another one was started."""
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
    before = load_invitation(row)
    has_ended = has_ended or before.state is InvitationState.COMPLETED
    state = InvitationState.COMPLETED if has_ended else InvitationState.STARTED
    if before.state is state and before.interview_id == sync.interview_id:
        return
    now = sync.updated_at
    values: dict[str, Any] = {
        "state": state,
        "interview_id": storable(sync.interview_id),
        "due": None,
        "reason": None,
        "message": None,
        "taken_at": before.taken_at or before.started_at or now,
        "updated_at": now,
    }
    if before.interview_id not in (None, sync.interview_id):
        values["session_token"] = None  # it belongs to the interview that was started, not to this one
    if has_ended or "session_token" in values:
        values["complete_due"] = None
    c.execute(update(invitation).where(invitation.c.id == external_id).values(**values))
    move(c, before.launch_id, before.state, state)
    finish(c, before.launch_id, now)


def unbind(c: Connection, keys: Sequence[tuple[str, str]]) -> int:
    """Erase the links between interviews without a respondent and invitations; return how many.

    `keys` are (connection, interview id). The caller has locked the invitations.
    A completed invitation becomes started, like every invitation whose interview is unknown.
    """
    unbound = 0
    for connection, interview_id in keys:
        by_interview = and_(
            invitation.c.connection == connection, invitation.c.interview_id == storable(interview_id)
        )
        for row in c.execute(select(invitation.c.launch_id, invitation.c.state).where(by_interview)).all():
            if row.state == InvitationState.COMPLETED:
                move(c, row.launch_id, row.state, InvitationState.STARTED)
        unbound += c.execute(update(invitation).where(by_interview).values(**_anonymous_values())).rowcount
    return unbound


def _anonymous_values() -> dict[str, Any]:
    """Return the columns of an invitation whose interview has no respondent.

    Times are rounded down to the UTC day, because an interview's id may tell when it was made. `taken_at` is
    rounded up, so that no new invitation comes earlier.
    """
    column = invitation.c
    times = (column.created_at, column.updated_at, column.started_at)
    was_started = column.state.in_((InvitationState.STARTED, InvitationState.COMPLETED))
    # the interview can no longer be read: the invitation only expires
    expires_at = column.started_at - column.started_at % _DAY + SCHEDULE[-1]
    end_of_taken_day = column.taken_at + _DAY - 1
    return {
        **dict.fromkeys(("interview_id", "link", "session_token", "complete_due", "sending_since")),
        **{time.name: time - time % _DAY for time in times},
        "state": case((was_started, InvitationState.STARTED), else_=column.state),
        "due": case((was_started, expires_at), else_=None),
        "polls": 0,
        "scatter": TO_DO,
        "taken_at": end_of_taken_day - end_of_taken_day % _DAY,
    }
