"""Launches until they run: who is planned, and the second look before a person waits for a start."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from connector.domain.launches import eligibility
from connector.domain.launches.eligibility import MOST_EXAMPLES, Choice, LaunchRules, SkipReason, is_example
from connector.domain.launches.launch import InvitationState, Launch, LaunchStatus, Phase
from connector.domain.people.same_person import ERASED_PERSON, Member
from connector.ledger.db.bulk import BulkStatement, storable
from connector.ledger.db.dialect import lock_people
from connector.ledger.db.repository import Repository, fenced, reads, writes
from connector.ledger.db.schema import invitation, launch, launch_source
from connector.ledger.launches.launch_row import dump_launch, find_launch, finish, lock_launches
from connector.ledger.people import aliases
from connector.text.json import dumps, loads

PLAN_MILLISECONDS = 600_000
_PLANNED = {
    "id": "text",
    "connection": "text",
    "launch_id": "text",
    "position": "integer",
    "person": "bigint",
    "user_id": "text",
    "email": "text",
    "name": "text",
    "created_at": "bigint",
}
_INSERT = BulkStatement(
    "INSERT INTO invitation ({names}, state, polls, updated_at) "
    "SELECT {names}, 'planned', 0, created_at FROM {rows} AS r",
    _PLANNED,
)
_TAKE = BulkStatement(
    "UPDATE invitation SET state = 'waiting', taken_at = r.now, updated_at = r.now, counted_day = r.day "
    "FROM {rows} AS r WHERE invitation.id = r.id AND invitation.state = 'planned'",
    {"id": "text", "now": "bigint", "day": "integer"},
)
_TAKEN = BulkStatement(
    "SELECT {returns} FROM {rows} AS r JOIN invitation AS i ON i.person = r.person AND i.taken_at IS NOT "
    "NULL",
    {"person": "bigint"},
    returns=["i.person", "i.taken_at", "i.launch_id", "i.state"],
)
_DROP = BulkStatement("DELETE FROM invitation WHERE id IN (SELECT id FROM {rows} AS r)", {"id": "text"})


class Planning(Repository):
    """Launches until they run. Methods that take a lease raise `Conflict` when it was lost."""

    @writes
    def create(self, c: Connection, one: Launch, source: Sequence[Sequence[Member]] = ()) -> None:
        """Store a launch, with its members where they came with the call."""
        c.execute(insert(launch).values(**dump_launch(one)))
        for position, members in enumerate(source):
            rows = [[storable(value) for value in member] for member in members]
            c.execute(insert(launch_source).values(launch_id=one.id, position=position, members=dumps(rows)))

    @reads
    def source(self, c: Connection, launch_id: str, position: int) -> list[Member] | None:
        """Return one stored chunk of a launch's members; None after the last."""
        text = c.execute(
            select(launch_source.c.members).where(
                launch_source.c.launch_id == launch_id, launch_source.c.position == position
            )
        ).scalar()
        return None if text is None else [Member(*row) for row in loads(text)]

    @fenced
    def begin_reading(self, c: Connection, launch_id: str) -> bool:
        """Forget an interrupted attempt to decide over the members; False when the launch was called off."""
        lock_people(c)
        lock_launches(c, launch.c.id == launch_id)
        c.execute(delete(invitation).where(invitation.c.launch_id == launch_id, _is_planned()))
        begun = update(launch).where(launch.c.id == launch_id, launch.c.status == LaunchStatus.PLANNING)
        values = {"members_total": 0, "planned": 0, "skipped": "{}", "examples": None, "words": None}
        return c.execute(begun.values(**values)).rowcount > 0

    @fenced
    def add_choices(
        self, c: Connection, launch_id: str, choices: Sequence[Choice], taught: Sequence[Choice], now: int
    ) -> bool:
        """Store decisions over the next rows of a cohort, and the new aliases of `taught`.

        False when the launch was called off.
        """
        if taught or any(map(is_example, choices)):
            lock_people(c)  # before the launch, as an erasure does
        one = find_launch(c, launch_id, lock=True)
        if one is None or one.status is not LaunchStatus.PLANNING:
            return False
        store_choices(c, one, choices, taught, now)
        return True

    @fenced
    def end(self, c: Connection, launch_id: str, now: int) -> Launch | None:
        """End the decisions: in a plan, or in the phase `activate`; the members' own rows are not kept.

        None when the launch was called off.
        """
        one = find_launch(c, launch_id, lock=True)
        if one is None or one.status is not LaunchStatus.PLANNING:
            return None
        c.execute(delete(launch_source).where(launch_source.c.launch_id == launch_id))
        values: dict[str, Any] = {"planned_at": now, "phase": Phase.ACTIVATE, "phase_due": now, "words": None}
        if one.single and not one.planned:  # what came along describes a person who is not invited
            values["options"] = dumps({**asdict(one.options), "metadata": {}})
        if not one.goes_on:
            expires_at = now + PLAN_MILLISECONDS
            values |= {
                "status": LaunchStatus.PLANNED,
                "phase": None,
                "phase_due": None,
                "expires_at": expires_at,
            }
        c.execute(update(launch).where(launch.c.id == launch_id).values(**values))
        if SkipReason.SUPPRESSED in one.skipped:
            self.db.empty_log()  # the call named a person who was forgotten
        return find_launch(c, launch_id)

    @fenced
    def end_unplanned(self, c: Connection, launch_id: str, code: str, words: str, now: int) -> None:
        """End planning that cannot succeed: no member is invited, and none stays."""
        lock_people(c)
        lock_launches(c, launch.c.id == launch_id)
        c.execute(delete(launch_source).where(launch_source.c.launch_id == launch_id))
        c.execute(delete(invitation).where(invitation.c.launch_id == launch_id, _is_planned()))
        ended = update(launch).where(launch.c.id == launch_id, launch.c.status == LaunchStatus.PLANNING)
        values = {"status": LaunchStatus.CANCELLED, "phase": None, "phase_due": None, "finished_at": now}
        # what was counted so far counted people who were in fact not decided over to the end
        emptied = {"members_total": 0, "planned": 0, "skipped": "{}", "examples": None}
        c.execute(ended.values(**values, **emptied, error=code, words=storable(words)))

    @fenced
    def set_phase(
        self,
        c: Connection,
        launch_id: str,
        phase: Phase,
        *,
        due: int,
        request_id: str | None = None,
        cohort_name: str | None = None,
        words: str | None = None,
    ) -> None:
        """Move a launch that is still in planning; None leaves a value as it is, `words` too."""
        moved = update(launch).where(launch.c.id == launch_id, launch.c.status == LaunchStatus.PLANNING)
        more = {"request_id": request_id, "cohort_name": cohort_name, "words": words}
        given = {name: storable(value) for name, value in more.items() if value is not None}
        c.execute(moved.values(phase=phase, phase_due=due, **given))

    @writes
    def use_plan(self, c: Connection, launch_id: str, now: int) -> Launch | None:
        """Let a plan go on once, unless it is expired; return the launch as it is then."""
        c.execute(
            update(launch)
            .where(
                launch.c.id == launch_id, launch.c.status == LaunchStatus.PLANNED, launch.c.expires_at > now
            )
            .values(status=LaunchStatus.PLANNING, goes_on=True, phase=Phase.ACTIVATE, phase_due=now)
        )
        return find_launch(c, launch_id)

    @writes
    def activate(self, c: Connection, launch_id: str, rules: LaunchRules, now: int, limit: int) -> bool:
        """Look once more at up to `limit` planned people; return whether there may be more.

        They wait for their start, or are skipped for what happened since. After the last the launch
        runs, or is finished when no person is left.
        """
        lock_people(c)
        one = find_launch(c, launch_id, lock=True)
        if one is None or one.phase is not Phase.ACTIVATE:
            return False
        _, more = look_again(c, one, rules, now, limit)
        if not more:
            runs = {"status": LaunchStatus.RUNNING, "phase": None, "phase_due": None, "started_at": now}
            c.execute(update(launch).where(launch.c.id == launch_id).values(**runs))
        finish(c, launch_id, now)
        return more

    @writes
    def delete_unused(self, c: Connection, before: int) -> int:
        """Delete plans that were never used and whose planning ended before a time; return how many."""
        lock_people(c)
        old = select(launch.c.id).where(launch.c.status == LaunchStatus.PLANNED, launch.c.planned_at < before)
        found = c.execute(old.with_for_update(skip_locked=True)).scalars().all()
        for launch_id in found:
            c.execute(delete(invitation).where(invitation.c.launch_id == launch_id))
            c.execute(delete(launch).where(launch.c.id == launch_id))
        return len(found)


def store_choices(
    c: Connection, one: Launch, choices: Sequence[Choice], taught: Sequence[Choice], now: int
) -> None:
    """Add decisions to a launch: invited members are planned, skipped ones are counted.

    The caller has the launch locked, and before it the people where decisions teach aliases or are shown.
    """
    persons: Mapping[int, int] = {}
    if taught:
        persons = aliases.learn(c, taught)
        choices = [_kept_out(choice, persons) for choice in choices]
    rows = [
        (
            f"inv_{secrets.token_hex(16)}",
            one.connection,
            one.id,
            one.members_total + at,
            persons[choice.keys[0]],
            *choice.member,
            now,
        )
        for at, choice in enumerate(choices)
        if choice.reason is None
    ]
    if rows:
        _INSERT.execute(c, rows)
    skipped = Counter(one.skipped)
    skipped.update(str(choice.reason) for choice in choices if choice.reason is not None)
    examples = list(one.examples)
    shown = [choice for choice in choices if is_example(choice)][: MOST_EXAMPLES - len(examples)]
    gone = aliases.forgotten(c, [key for choice in shown for key in choice.keys])
    examples += [
        (choice.member.user_id or "", str(choice.reason)) for choice in shown if gone.isdisjoint(choice.keys)
    ]
    changed = update(launch).where(launch.c.id == one.id)
    c.execute(
        changed.values(
            members_total=one.members_total + len(choices),
            planned=one.planned + len(rows),
            skipped=dumps(dict(skipped)),
            examples=storable(dumps(examples)) if examples else None,
        )
    )


def _kept_out(choice: Choice, persons: Mapping[int, int]) -> Choice:
    """Skip a person who was erased since history was asked."""
    forgotten = choice.reason is None and persons[choice.keys[0]] == ERASED_PERSON
    return choice._replace(reason=SkipReason.SUPPRESSED) if forgotten else choice


def look_again(
    c: Connection, one: Launch, rules: LaunchRules, now: int, limit: int, counted_day: int | None = None
) -> tuple[int, bool]:
    """Let up to `limit` planned people wait for their start, or skip them for what happened since.

    Return how many wait now, and whether there may be more. The caller has the people locked, then the
    launch. `counted_day` is the UTC day on which they count as people whom a webhook invited.
    """
    planned = c.execute(
        select(invitation.c.id, invitation.c.person)
        .where(invitation.c.launch_id == one.id, _is_planned())
        .order_by(invitation.c.position)
        .limit(limit)
    ).all()
    persons = [row.person for row in planned]
    taken: dict[int, int] = {}
    here: set[int] = set()
    for person, at, of, state in _TAKEN.fetch(c, [(one,) for one in sorted(set(persons))]) if persons else ():
        last: int = aliases.QUEUED if state in ("waiting", "sending") else at
        taken[person] = max(taken.get(person, last), last)
        if of == one.id and not one.standing:  # which may meet a person again in a later message
            here.add(person)
    reasons = eligibility.look_again(
        persons,
        here=here,
        erased=aliases.forgotten(c, persons),
        taken=taken,
        room=rules.limit - one.waiting,
        rules=rules,
        now=now,
    )
    decided = list(zip(planned, reasons, strict=True))
    if going := [(row.id, now, counted_day) for row, reason in decided if reason is None]:
        _TAKE.execute(c, going)
    if dropped := [(row.id,) for row, reason in decided if reason is not None]:
        _DROP.execute(c, dropped)
    skipped = Counter(one.skipped)
    skipped.update(str(reason) for reason in reasons if reason is not None)
    values = {"planned": one.planned - len(planned), "waiting": one.waiting + len(going)}
    c.execute(update(launch).where(launch.c.id == one.id).values(**values, skipped=dumps(dict(skipped))))
    return len(going), len(planned) == limit


def _is_planned() -> Any:
    return invitation.c.state == InvitationState.PLANNED
