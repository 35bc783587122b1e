"""Attribution: interviews that came back belong to the invitations whose external id they carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, or_, select, tuple_, update

from connector.domain.launches.launch import Invitation, InvitationState, Invited
from connector.domain.launches.start import SCHEDULE
from connector.domain.results.respondent import is_ours
from connector.domain.results.sync import Sync
from connector.ledger.db.bulk import storable
from connector.ledger.db.repository import Repository, reads
from connector.ledger.db.schema import invitation, launch
from connector.ledger.launches.launch_row import (
    finish,
    load_invitation,
    lock_invitations,
    move,
    select_invitations,
)
from connector.ledger.people.aliases import behind, is_gone
from connector.text.json import loads

_DAY = 86_400_000


class Attribution(Repository):
    """Invitations behind interviews."""

    async def invited(self, connection: str, external_ids: Iterable[str]) -> Mapping[str, Invited]:
        """Return invitees by external id; not erased ones, nor those whose names are gone with time."""
        ours = sorted(set(filter(is_ours, external_ids)))
        return await self._invited(connection, ours) if ours else {}

    @reads
    def _invited(self, c: Connection, connection: str, ours: Sequence[str]) -> dict[str, Invited]:
        query = (
            select(
                invitation.c.id,
                invitation.c.user_id,
                invitation.c.email,
                launch.c.id.label("launch_id"),
                launch.c.cohort_id,
                launch.c.cohort_name,
                launch.c.options,
            )
            .join(launch, launch.c.id == invitation.c.launch_id)
            .where(
                invitation.c.id.in_(ours),
                invitation.c.connection == connection,
                ~is_gone(invitation.c.person),
            )
        )
        found: dict[str, Invited] = {}
        for row in c.execute(query):
            options = loads(row.options)
            if invitee := row.user_id or row.email:
                found[row.id] = Invited(
                    invitee,
                    row.launch_id,
                    row.cohort_id,
                    row.cohort_name,
                    options["variant"],
                    options["mode"],
                )
        return found

    @reads
    def of_interview(self, c: Connection, connection: str, interview_id: str) -> Invitation | None:
        """Return the invitation whose interview this is."""
        query = select_invitations().where(
            invitation.c.connection == connection, invitation.c.interview_id == storable(interview_id)
        )
        row = c.execute(query.limit(1)).first()
        return None if row is None else load_invitation(row)

    @reads
    def of_person(self, c: Connection, keys: Sequence[int]) -> Invitation | None:
        """Return the newest invitation that takes the person behind these aliases."""
        persons = sorted(set(behind(c, keys).values()))
        query = select_invitations().where(
            invitation.c.person.in_(persons), invitation.c.taken_at.is_not(None)
        )
        row = c.execute(query.order_by(invitation.c.taken_at.desc()).limit(1)).first()
        return None if row is None else load_invitation(row)


def lock(c: Connection, syncs: Sequence[Sync], anonymous: Sequence[tuple[str, str]]) -> None:
    """Keep the invitations that `bind` and `unbind` may change, all at once."""
    ours = [facts.external_id for one in syncs if (facts := one.facts) and facts.invitee]
    if ours or anonymous:
        keys = [(connection, storable(interview_id)) for connection, interview_id in anonymous]
        theirs = tuple_(invitation.c.connection, invitation.c.interview_id).in_(keys)
        lock_invitations(c, or_(invitation.c.id.in_(ours), theirs))


def bind(c: Connection, syncs: Sequence[Sync]) -> None:
    """Let interviews that came back with our external id belong to their invitations, whatever their ids."""
    for sync in syncs:
        facts = sync.facts
        if facts is None or facts.invitee is None or facts.external_id is None:
            continue
        _bind(c, sync, facts.external_id, over=facts.has_ended)


def _bind(c: Connection, sync: Sync, external_id: str, *, over: bool) -> None:
    query = select_invitations().where(
        invitation.c.id == external_id, invitation.c.connection == sync.connection
    )
    row = c.execute(query).first()
    if row is None:
        return
    was = load_invitation(row)
    over = over or was.state is InvitationState.COMPLETED
    state = InvitationState.COMPLETED if over else InvitationState.STARTED
    if was.state is state and was.interview_id == sync.interview_id:
        return
    now = sync.updated_at
    values: dict[str, Any] = {
        "state": state,
        "interview_id": storable(sync.interview_id),
        "due": None,
        "reason": None,
        "words": None,
        "taken_at": was.taken_at or was.started_at or now,
        "updated_at": now,
    }
    if was.interview_id not in (None, sync.interview_id):
        values["session_token"] = None  # that of the interview which was started and never held
    if over or "session_token" in values:
        values["complete_due"] = None
    c.execute(update(invitation).where(invitation.c.id == external_id).values(**values))
    move(c, was.launch_id, was.state, state)
    finish(c, was.launch_id, now)


def unbind(c: Connection, keys: Sequence[tuple[str, str]]) -> int:
    """Erase what links interviews without a respondent to invitations; return how many.

    The caller has the invitations locked. Times stay to the day: an interview's id may itself tell when it
    was made. A person may never be asked again earlier than before. A completed invitation is started again,
    as all others look whose interview is unknown.
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
        # there is nothing left to read, only to expire
        unread = invitation.c.started_at - invitation.c.started_at % _DAY + SCHEDULE[-1]
        told = invitation.c.state.in_((InvitationState.STARTED, InvitationState.COMPLETED))
        still = case((told, unread), else_=None)
        state = case((told, InvitationState.STARTED), else_=invitation.c.state)
        times = {
            column.name: column - column % _DAY
            for column in (invitation.c.created_at, invitation.c.updated_at, invitation.c.started_at)
        }
        gone = dict.fromkeys(("interview_id", "link", "session_token", "complete_due", "sending_since"))
        values = {**gone, **times, "state": state, "due": still, "polls": 0, "taken_at": after - after % _DAY}
        unbound += c.execute(update(invitation).where(mine).values(**values)).rowcount
    return unbound
