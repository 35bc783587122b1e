"""Launches until they run: plan members, and check them once more before they wait for their start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Update, delete, insert, select, update

from connector.domain.launches import eligibility
from connector.domain.launches.cohort_message import members_of
from connector.domain.launches.eligibility import MOST_EXAMPLES, Choice, LaunchRules, SkipReason, is_example
from connector.domain.launches.launch import Example, InvitationState, Launch, LaunchStatus, Phase
from connector.domain.launches.rest import NO_RESTS
from connector.domain.people.same_person import Member
from connector.ledger.db.bulk import BulkStatement, portions, storable
from connector.ledger.db.dialect import lock_people
from connector.ledger.db.queries import first
from connector.ledger.db.repository import Repository, fenced, reads, writes
from connector.ledger.db.schema.launches import invitation, launch, launch_source
from connector.ledger.launches.choices import store_choices
from connector.ledger.launches.launch_row import (
    dump_launch,
    find_launch,
    finish,
    lock_launches,
    skip_planned,
)
from connector.ledger.launches.waves import hold
from connector.ledger.people import aliases, register
from connector.text.json import dumps

PLAN_MILLISECONDS = 600_000
_UNDECIDED = {
    **dict.fromkeys(("members_total", "with_email", "bad_emails", "planned"), 0),
    "skipped": "{}",
    "examples": None,
}
_NO_PHASE = {"phase": None, "phase_due": None}
_TAKE = BulkStatement(
    "UPDATE invitation SET state = 'waiting', taken_at = r.now, updated_at = r.now, counted_day = r.day "
    "FROM {rows} AS r WHERE invitation.id = r.id AND invitation.state = 'planned'",
    {"id": "text", "now": "bigint", "day": "integer"},
)
_TAKEN = BulkStatement(
    "SELECT {returns} FROM {rows} AS r JOIN invitation AS i "
    "ON i.person = r.person AND i.taken_at IS NOT NULL",
    {"person": "bigint"},
    returns=["i.person", "i.taken_at", "i.launch_id", "i.state"],
)
_DROP = BulkStatement("DELETE FROM invitation WHERE id IN (SELECT id FROM {rows} AS r)", {"id": "text"})


class Planning(Repository):
    """Launches until they run. Methods that take a lease raise `Conflict` when it was lost."""

    async def create(self, new: Launch, source: Sequence[str] = ()) -> None:
        """Store a launch, and chunks of the members that came with the call (`cohort_message.chunks_of`).

        Many go into several transactions, for which webhooks wait. Before the last one the phase is `DIRECT`:
        a crash in between ends the launch.
        """
        begun, *more = portions(source)
        await self._create(replace(new, phase=Phase.DIRECT) if more else new, begun)
        for part in more:
            await self._add(new.id, part)
        if more and new.phase is not None:
            await self.set_phase(None, new.id, new.phase, due=new.phase_due or new.created_at)

    @writes
    def _create(self, c: Connection, new: Launch, source: Sequence[tuple[int, str]]) -> None:
        c.execute(delete(launch_source).where(launch_source.c.launch_id == new.id))  # of a try that was cut
        c.execute(delete(launch).where(launch.c.id == new.id, launch.c.phase == Phase.DIRECT))
        c.execute(insert(launch).values(**dump_launch(new)))
        _add(c, new.id, source)

    @writes
    def _add(self, c: Connection, launch_id: str, source: Sequence[tuple[int, str]]) -> None:
        _add(c, launch_id, source)

    @reads
    def source(self, c: Connection, launch_id: str, position: int) -> list[Member] | None:
        """Return one stored chunk of a launch's members, or None after the last."""
        chunk = select(launch_source.c.members).where(
            launch_source.c.launch_id == launch_id, launch_source.c.position == position
        )
        return first(c, chunk, lambda row: members_of(row.members))

    @fenced
    def begin_reading(self, c: Connection, launch_id: str) -> bool:
        """Undo an interrupted attempt to decide over the members; False when the launch was cancelled."""
        lock_people(c)
        lock_launches(c, launch.c.id == launch_id)
        c.execute(delete(invitation).where(_decided(launch_id)))
        return c.execute(_in_planning(launch_id).values(**_UNDECIDED, message=None)).rowcount > 0

    @fenced
    def set_carried(self, c: Connection, launch_id: str, carried: Sequence[str]) -> None:
        """Store the names of properties that the members have."""
        c.execute(_in_planning(launch_id).values(carried=storable(dumps(carried))))

    @fenced
    def add_choices(
        self,
        c: Connection,
        launch_id: str,
        choices: Sequence[Choice],
        taught: Sequence[Choice],
        gave_way: Sequence[int],
        now: int,
    ) -> bool:
        """Store decisions over the next members of a cohort, and the new aliases of `taught`.

        The people whose draws are `gave_way` were chosen before, and are over the limit now. False when the
        launch was cancelled.
        """
        if taught or any(map(is_example, choices)):
            lock_people(c)  # before the launch, in the order of an erasure
        plan = find_launch(c, launch_id, lock=True)
        if plan is None or plan.status is not LaunchStatus.PLANNING:
            return False
        store_choices(c, plan, choices, taught, now)
        if gave_way:
            drawn = select(invitation.c.id, invitation.c.person).where(_planned(launch_id))
            _drop_over_limit(c, launch_id, drawn.where(invitation.c.draw.in_(gave_way)))
        return True

    @fenced
    def end(
        self,
        c: Connection,
        launch_id: str,
        now: int,
        limit: int | None = None,
        available: Mapping[str, int] | None = None,
        cohort: Mapping[str, int] | None = None,
    ) -> Launch | None:
        """End the decisions with a plan, or with the phase `activate`; delete the members' own rows.

        Of the people that the cells of a quota chose, no more than `limit` stay; `available` and `cohort`
        are stored. None when the launch was cancelled.
        """
        if limit is not None:
            lock_people(c)  # before the launch, in the order of an erasure
        plan = find_launch(c, launch_id, lock=True)
        if plan is None or plan.status is not LaunchStatus.PLANNING:
            return None
        c.execute(delete(launch_source).where(launch_source.c.launch_id == launch_id))
        if limit is not None and plan.planned > limit:
            last = select(invitation.c.id, invitation.c.person).where(_planned(launch_id))
            last = last.order_by(invitation.c.draw.desc(), invitation.c.position.desc())
            _drop_over_limit(c, launch_id, last.limit(plan.planned - limit))
        values: dict[str, Any] = {
            "planned_at": now,
            "available": dumps(available) if available else None,
            "cohort_segments": dumps(cohort) if cohort else None,
            "phase": Phase.ACTIVATE,
            "phase_due": now,
            "message": None,
        }
        if plan.single and not plan.planned:  # the metadata describes a person who is not invited
            values["options"] = dumps({**asdict(plan.options), "metadata": {}})
        if not plan.goes_on:
            values |= {**_NO_PHASE, "status": LaunchStatus.PLANNED, "expires_at": now + PLAN_MILLISECONDS}
        c.execute(update(launch).where(launch.c.id == launch_id).values(**values))
        if SkipReason.SUPPRESSED in plan.skipped:
            self.db.empty_log()  # the call named an erased person
        return find_launch(c, launch_id)

    @fenced
    def end_unplanned(self, c: Connection, launch_id: str, code: str, message: str, now: int) -> None:
        """End planning that cannot succeed: no member is invited, and none is kept."""
        lock_people(c)
        lock_launches(c, launch.c.id == launch_id)
        c.execute(delete(launch_source).where(launch_source.c.launch_id == launch_id))
        c.execute(delete(invitation).where(_decided(launch_id)))
        # the counts so far are of members whose decisions are not kept
        ended = {**_NO_PHASE, **_UNDECIDED, "status": LaunchStatus.CANCELLED, "finished_at": now}
        c.execute(_in_planning(launch_id).values(**ended, error=code, message=storable(message)))

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
        message: str | None = None,
    ) -> None:
        """Move a launch that is still in planning to a phase; a value of None leaves the stored one."""
        values = {"request_id": request_id, "cohort_name": cohort_name, "message": message}
        changed = {name: storable(value) for name, value in values.items() if value is not None}
        c.execute(_in_planning(launch_id).values(phase=phase, phase_due=due, **changed))

    @writes
    def use_plan(self, c: Connection, launch_id: str, now: int) -> Launch | None:
        """Continue a plan once, unless it is expired; return the launch afterwards."""
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
        """Check up to `limit` planned members once more; return whether there may be more.

        Each waits for its start, or is skipped for what happened since. After the last member the launch
        runs, or is finished when it has none.
        """
        lock_people(c)
        plan = find_launch(c, launch_id, lock=True)
        if plan is None or plan.phase is not Phase.ACTIVATE:
            return False
        _, more = look_again(c, plan, rules, now, limit)
        if not more:
            runs = {**_NO_PHASE, "status": LaunchStatus.RUNNING, "started_at": now}
            c.execute(update(launch).where(launch.c.id == launch_id).values(**runs))
            hold(c, plan, now)
        finish(c, launch_id, now)
        return more


def _drop_over_limit(c: Connection, launch_id: str, which: Select[tuple[str, int]]) -> None:
    """Delete planned people, and count them as over the limit; keep nothing of new persons."""
    rows = c.execute(which).all()
    if rows:
        _DROP.execute(c, [(row.id,) for row in rows])
        aliases.unlearn(c, [row.person for row in rows])
        skip_planned(c, launch_id, SkipReason.OVER_LIMIT, len(rows))


def look_again(
    c: Connection, plan: Launch, rules: LaunchRules, now: int, limit: int, counted_day: int | None = None
) -> tuple[int, bool]:
    """Let up to `limit` planned members wait for their start, or skip them for what happened since.

    Return how many wait now, and whether there may be more. The caller has locked the people, then the
    launch. `counted_day` is the UTC day on which they count as members that a webhook invited.
    """
    planned = c.execute(
        select(invitation.c.id, invitation.c.person, invitation.c.register, invitation.c.user_id)
        .where(_planned(plan.id))
        .order_by(invitation.c.position)
        .limit(limit)
    ).all()
    persons = [row.person for row in planned]
    taken: dict[int, int] = {}
    here: set[int] = set()
    for person, at, of, state in _TAKEN.fetch(c, [(key,) for key in sorted(set(persons))]) if persons else ():
        last: int = aliases.QUEUED if state in ("waiting", "sending") else at
        taken[person] = max(taken.get(person, last), last)
        if of == plan.id and not plan.standing:  # a standing launch may name a person again
            here.add(person)
    registered = aliases.behind(c, [row.register for row in planned if row.register is not None])
    asked = register.asked_of(c, registered.values()) if rules.rests != NO_RESTS else {}
    reasons = eligibility.look_again(
        persons,
        here=here,
        erased=aliases.forgotten(c, persons),
        taken=taken,
        recorded=[
            register.record({registered[row.register]} if row.register in registered else (), asked)
            for row in planned
        ],
        room=rules.limit - plan.waiting,
        rules=rules,
        now=now,
    )
    decided = list(zip(planned, reasons, strict=True))
    if going := [(row.id, now, counted_day) for row, (reason, _) in decided if reason is None]:
        _TAKE.execute(c, going)
    if dropped := [(row.id,) for row, (reason, _) in decided if reason is not None]:
        _DROP.execute(c, dropped)
    skipped = Counter(plan.skipped)
    skipped.update(str(reason) for reason, _ in reasons if reason is not None)
    resting = [
        Example(row.user_id, str(reason), *rest) for row, (reason, rest) in decided if rest and row.user_id
    ]
    examples = [*plan.examples, *resting][:MOST_EXAMPLES]
    values = {
        "planned": plan.planned - len(planned),
        "waiting": plan.waiting + len(going),
        "skipped": dumps(dict(skipped)),
        "examples": storable(dumps(examples)) if examples else None,
    }
    c.execute(update(launch).where(launch.c.id == plan.id).values(**values))
    return len(going), len(planned) == limit


def _decided(launch_id: str) -> ColumnElement[bool]:
    held_out = (invitation.c.launch_id == launch_id) & (invitation.c.state == InvitationState.HOLDOUT)
    return _planned(launch_id) | held_out


def _planned(launch_id: str) -> ColumnElement[bool]:
    return (invitation.c.launch_id == launch_id) & (invitation.c.state == InvitationState.PLANNED)


def _in_planning(launch_id: str) -> Update:
    return update(launch).where(launch.c.id == launch_id, launch.c.status == LaunchStatus.PLANNING)


def _add(c: Connection, launch_id: str, source: Sequence[tuple[int, str]]) -> None:
    for position, text in source:
        row = {"launch_id": launch_id, "position": position, "members": storable(text)}
        c.execute(insert(launch_source).values(row))
