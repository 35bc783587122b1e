"""The people of a cohort's messages: into its standing launch, and out of it while nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, update

from connector.domain.events.event import EventType
from connector.domain.launches.cohort_message import CohortMessage
from connector.domain.launches.credits import day_of
from connector.domain.launches.eligibility import UNLIMITED, Choice, SkipReason
from connector.domain.launches.launch import Launch, LaunchOptions, LaunchStatus
from connector.domain.people.same_person import ERASED_PERSON, KeyedMember
from connector.ledger.db.bulk import BulkStatement
from connector.ledger.db.dialect import lock_people
from connector.ledger.db.repository import Repository, fenced
from connector.ledger.db.schema import invitation, launch
from connector.ledger.launches import cohort_inbox
from connector.ledger.launches.launch_row import move, tell_launch
from connector.ledger.launches.planning import look_again, store_choices
from connector.ledger.people import aliases

APPROVAL = "approval"
_CALL_OFF = BulkStatement(
    "UPDATE invitation SET state = 'cancelled', taken_at = NULL, counted_day = NULL, updated_at = r.now "
    "FROM {rows} AS r WHERE invitation.launch_id = r.launch_id AND invitation.person = r.person "
    "AND invitation.state = 'waiting'",
    {"launch_id": "text", "person": "bigint", "now": "bigint"},
)


class CohortMembers(Repository):
    """The people of messages. Every method raises `Conflict` when the lease was lost."""

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
        """Plan a chunk's people into the cohort's standing launch, and let go of the chunk."""
        lock_people(c)  # before the launch, as an erasure does
        if any(choice.reason is SkipReason.SUPPRESSED for choice in choices):
            self.db.empty_log()  # the message named a person who was forgotten
        one = cohort_inbox.obtain(c, message, options, now)
        if one is None:
            cohort_inbox.done(c, message)
            return
        store_choices(c, one, choices, taught, now)
        _end_piece(c, message, position, [choice.keys for choice in choices], now)

    @fenced
    def dismiss(
        self, c: Connection, message: CohortMessage, position: int, keyed: Sequence[KeyedMember], now: int
    ) -> None:
        """Call off those of a chunk whose start is not sent, and let go of the chunk."""
        lock_people(c)
        behind = aliases.behind(c, [key for _, keys in keyed for key in keys])
        one = cohort_inbox.standing(c, message)
        if one is not None and cohort_inbox.stands(one) and behind:
            rows = [(one.id, person, now) for person in sorted(set(behind.values()))]
            move(c, one.id, "waiting", "cancelled", _CALL_OFF.execute(c, rows))
            _need_no_approval(c, one)
        _end_piece(c, message, position, [keys for _, keys in keyed], now)
        if ERASED_PERSON in behind.values():
            self.db.empty_log()

    @fenced
    def decided(self, c: Connection, message: CohortMessage, approve_above: int, now: int) -> None:
        """End the decisions over a message: its people may wait for a start, or for approval.

        New people of the day are those that a webhook invited, or is about to, without an approval.
        """
        one = cohort_inbox.standing(c, message) if message.in_cohort else None
        if one is None or not cohort_inbox.stands(one) or not one.planned:
            cohort_inbox.done(c, message)
            return
        counted = select(func.count()).where(
            invitation.c.connection == message.connection, invitation.c.counted_day == day_of(now)
        )
        held = c.execute(counted).scalar_one() + one.planned > approve_above
        if held:
            _pause(c, one, now)
        cohort_inbox.set_stage(c, message, "activating", held=held)

    @fenced
    def activate(self, c: Connection, message: CohortMessage, now: int, limit: int) -> bool:
        """Look once more at up to `limit` planned people; return whether there may be more.

        They wait for their start, or are skipped for what happened since. Resuming a launch
        approves those who wait then; those who come after them wait again.
        """
        lock_people(c)
        one = cohort_inbox.standing(c, message)
        if one is None or not cohort_inbox.stands(one):
            cohort_inbox.done(c, message)
            return False
        day = None if message.held else day_of(now)
        going, more = look_again(c, one, UNLIMITED, now, limit, counted_day=day)
        if going and message.held:
            _pause(c, one, now)
        if not more:
            cohort_inbox.done(c, message)
        return more


def _end_piece(
    c: Connection, message: CohortMessage, position: int, told: Sequence[tuple[int, ...]], now: int
) -> None:
    """Let go of a chunk; nothing is kept of erased persons and of members without an alias."""
    gone = aliases.forgotten(c, [key for keys in told for key in keys])
    keys = [keys[0] for keys in told if keys and gone.isdisjoint(keys)]
    cohort_inbox.end_piece(c, message, position, keys, now)


def approve(c: Connection, launch_id: str) -> None:
    """Count those who wait as approved."""
    waiting = update(invitation).where(invitation.c.launch_id == launch_id, invitation.c.state == "waiting")
    c.execute(waiting.where(invitation.c.counted_day.is_not(None)).values(counted_day=None))


def _pause(c: Connection, one: Launch, now: int) -> None:
    if one.pause_reason == APPROVAL:
        return
    values = {"status": LaunchStatus.PAUSED, "pause_reason": APPROVAL}
    c.execute(update(launch).where(launch.c.id == one.id).values(**values))
    tell_launch(c, EventType.LAUNCH_PAUSED, one.id, now, APPROVAL)


def _need_no_approval(c: Connection, one: Launch) -> None:
    """Resume a launch in which no person is left that needs approval."""
    empty = (launch.c.waiting == 0) & (launch.c.planned == 0) & (launch.c.pause_reason == APPROVAL)
    going_on = update(launch).where(launch.c.id == one.id, launch.c.status == LaunchStatus.PAUSED, empty)
    c.execute(going_on.values(status=LaunchStatus.RUNNING, pause_reason=None))
