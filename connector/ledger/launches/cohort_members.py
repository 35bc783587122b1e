"""Members in a cohort's messages: they join its standing launch, and leave it while nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, update

from connector.domain.events.event import EventType
from connector.domain.launches.cohort_message import CohortMessage
from connector.domain.launches.credits import day_of
from connector.domain.launches.eligibility import Choice, LaunchRules, SkipReason
from connector.domain.launches.launch import APPROVAL, RESTORED, Launch, LaunchOptions, LaunchStatus
from connector.domain.people.same_person import ERASED_PERSON, KeyedMember
from connector.ledger.db.bulk import BulkStatement, types_of
from connector.ledger.db.dialect import lock_people
from connector.ledger.db.repository import Repository, fenced
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.launches import cohort_inbox
from connector.ledger.launches.choices import store_choices
from connector.ledger.launches.launch_row import move, tell_launch
from connector.ledger.launches.planning import look_again
from connector.ledger.people import aliases

_CALL_OFF = BulkStatement(
    "UPDATE invitation SET state = 'cancelled', taken_at = NULL, counted_day = NULL, updated_at = r.now "
    "FROM {rows} AS r WHERE invitation.launch_id = r.launch_id AND invitation.person = r.person "
    "AND invitation.state = 'waiting'",
    {**types_of(invitation, "launch_id", "person"), "now": "bigint"},
)


class CohortMembers(Repository):
    """Members in messages. Every method raises `Conflict` when the lease was lost."""

    @fenced
    def invite(
        self,
        c: Connection,
        message: CohortMessage,
        position: int,
        choices: Sequence[Choice],
        taught: Sequence[Choice],
        options: LaunchOptions,
        now: int,
    ) -> None:
        """Plan a chunk's members in the cohort's standing launch, and delete the chunk."""
        lock_people(c)  # before the launch, in the order of an erasure
        if any(choice.reason is SkipReason.SUPPRESSED for choice in choices):
            self.db.empty_log()  # the message named an erased person
        grows = cohort_inbox.obtain(c, message, options, now)
        if grows is None:
            cohort_inbox.done(c, message)
            return
        store_choices(c, grows, choices, taught, now)
        cohort_inbox.end_chunk(c, message, position, [choice.keys for choice in choices], now)

    @fenced
    def dismiss(
        self, c: Connection, message: CohortMessage, position: int, keyed: Sequence[KeyedMember], now: int
    ) -> None:
        """Cancel the starts of a chunk's members that are not sent, and delete the chunk."""
        lock_people(c)
        behind = aliases.behind(c, [key for _, keys in keyed for key in keys])
        grows = cohort_inbox.standing(c, message)
        if cohort_inbox.stands(grows) and behind:
            rows = [(grows.id, person, now) for person in sorted(set(behind.values()))]
            move(c, grows.id, "waiting", "cancelled", _CALL_OFF.execute(c, rows))
            # no member is left who needs approval
            empty = (launch.c.waiting == 0) & (launch.c.planned == 0) & (launch.c.pause_reason == APPROVAL)
            paused = update(launch).where(
                launch.c.id == grows.id, launch.c.status == LaunchStatus.PAUSED, empty
            )
            c.execute(paused.values(status=LaunchStatus.RUNNING, pause_reason=None))
        cohort_inbox.end_chunk(c, message, position, [keys for _, keys in keyed], now)
        if ERASED_PERSON in behind.values():
            self.db.empty_log()

    @fenced
    def decided(self, c: Connection, message: CohortMessage, approve_above: int, now: int) -> None:
        """End the decisions over a message: its members wait for a start, or for approval.

        They wait for approval when webhooks would invite more than `approve_above` persons on this day
        without one.
        """
        grows = cohort_inbox.standing(c, message) if message.in_cohort else None
        if not cohort_inbox.stands(grows) or not grows.planned:
            cohort_inbox.done(c, message)
            return
        counted = select(func.count()).where(
            invitation.c.connection == message.connection, invitation.c.counted_day == day_of(now)
        )
        needs_approval = c.execute(counted).scalar_one() + grows.planned > approve_above
        if needs_approval:
            _pause(c, grows, now)
        cohort_inbox.set_stage(c, message, "activating", held=needs_approval)

    @fenced
    def activate(
        self, c: Connection, message: CohortMessage, rules: LaunchRules, now: int, limit: int
    ) -> bool:
        """Check up to `limit` planned members once more; return whether there may be more.

        Each waits for its start, or is skipped for what happened since. Resuming a launch approves the
        members who wait then; later members wait for another approval.
        """
        lock_people(c)
        grows = cohort_inbox.standing(c, message)
        if not cohort_inbox.stands(grows):
            cohort_inbox.done(c, message)
            return False
        day = None if message.held else day_of(now)
        going, more = look_again(c, grows, rules, now, limit, counted_day=day)
        if going and message.held:
            _pause(c, grows, now)
        if not more:
            cohort_inbox.done(c, message)
        return more


def approve(c: Connection, launch_id: str) -> None:
    """Count the waiting members of a launch as approved."""
    waiting = update(invitation).where(invitation.c.launch_id == launch_id, invitation.c.state == "waiting")
    c.execute(waiting.where(invitation.c.counted_day.is_not(None)).values(counted_day=None))


def _pause(c: Connection, grows: Launch, now: int) -> None:
    if grows.pause_reason in (APPROVAL, RESTORED):  # of which resuming approves all who wait, too
        return
    values = {"status": LaunchStatus.PAUSED, "pause_reason": APPROVAL}
    c.execute(update(launch).where(launch.c.id == grows.id).values(**values))
    tell_launch(c, EventType.LAUNCH_PAUSED, grows.id, now, APPROVAL)
