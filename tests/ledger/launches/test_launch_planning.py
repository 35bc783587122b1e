"""Planning a launch: whom it stores, and how a plan is used."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from connector.domain.launches.eligibility import LaunchRules, Selection
from connector.domain.launches.launch import Example, InvitationState, LaunchStatus, Phase
from connector.domain.people.same_person import Member
from connector.ledger.db.schema.launches import launch_source
from connector.ledger.db.schema.people import alias
from connector.ledger.ledger import Ledger
from connector.service import planning
from tests.ledger.desk import CAP, DAY, HOUR, Desk, persons, who
from tests.support.fakes import NOW

pytestmark = pytest.mark.contract


async def test_planning_stores_only_people_to_invite_and_counts_the_others(desk: Desk) -> None:
    await desk.launch(*persons(1))
    plan = await desk.plan(
        who(),
        *persons(1, 2, 2, 3),
        who("PERSON-003@example.com "),
        *persons(4, 5),
        limit=2,
    )
    assert (plan.status, plan.phase) == (LaunchStatus.PLANNED, None)
    assert (plan.members_total, plan.to_invite, plan.planned) == (8, 2, 2)
    assert plan.skipped == {
        "no_identifier": 1,
        "already_invited": 1,
        "duplicate_in_cohort": 2,
        "over_limit": 2,
    }
    assert plan.examples == (
        Example("user-001", "already_invited"),
        Example("user-002", "duplicate_in_cohort"),
        Example("user-004", "over_limit"),
        Example("user-005", "over_limit"),
    )
    stored = await desk.all_of(plan.id)
    assert [(one.state, one.position, one.user_id, one.email, one.taken_at) for one in stored] == [
        (InvitationState.PLANNED, 2, "user-002", "person-002@example.com", None),
        (InvitationState.PLANNED, 4, "user-003", "person-003@example.com", None),
    ]
    await desk.counts_are_true()


async def test_of_strangers_who_are_not_invited_nothing_is_kept(desk: Desk) -> None:
    await desk.plan(*persons(1), who("late@example.com", "late"), limit=1)
    known = await desk.ledger.db.read(
        lambda c: c.execute(select(func.count()).select_from(alias)).scalar_one()
    )
    assert known == 4  # on the connection, and over all connections
    again = await desk.plan(who("late@example.com"))
    assert again.to_invite == 1


async def test_decisions_go_on_over_the_pieces_of_a_cohort(desk: Desk) -> None:
    one = await desk.decide(persons(1, 2), persons(2, 3), persons(3, 4), limit=3)
    assert (one.members_total, one.planned, one.phase) == (6, 3, Phase.ACTIVATE)
    assert one.skipped == {"duplicate_in_cohort": 2, "over_limit": 1}
    assert [row.position for row in await desk.all_of(one.id)] == [0, 1, 3]


async def test_the_rows_of_a_call_go_when_planning_has_ended(desk: Desk) -> None:
    rows = [Member(None, "nul@example.com", "a\0b"), *persons(1)], persons(2)
    one = await desk.create(source=rows)
    first = await desk.ledger.planning.source(one.id, 0)
    assert first == rows[0]
    assert await desk.ledger.planning.source(one.id, 1) == persons(2)
    assert await desk.ledger.planning.source(one.id, 2) is None
    await desk.decide_over(one, *rows)
    assert (await desk.all_of(one.id))[0].name == "a\ufffdb", "PostgreSQL stores no NUL"
    kept = select(func.count()).select_from(launch_source)
    assert await desk.ledger.db.read(lambda c: c.execute(kept).scalar_one()) == 0


async def test_an_interrupted_attempt_to_decide_is_forgotten(desk: Desk) -> None:
    one = await desk.create()
    assert await desk.ledger.planning.begin_reading(None, one.id)
    keyed = desk.ledger.aliases.keyed("default", persons(1, 2))
    choices, _ = Selection(LaunchRules(CAP, None), NOW).take(keyed, [()] * len(keyed))
    assert await desk.ledger.planning.add_choices(None, one.id, choices, choices, (), NOW)
    assert (await desk.find(one.id)).planned == 2
    await desk.decide_over(one, persons(2, 3, 4))
    assert [row.user_id for row in await desk.all_of(one.id)] == ["user-002", "user-003", "user-004"]
    await desk.counts_are_true()


async def test_planning_that_was_called_off_stores_nothing_more(desk: Desk) -> None:
    one = await desk.create()
    launches = desk.ledger.launches
    assert await desk.ledger.planning.begin_reading(None, one.id)
    await launches.cancel(one.id, NOW)
    choices, _ = Selection(LaunchRules(CAP, None), NOW).take(
        desk.ledger.aliases.keyed("default", persons(1)), [()]
    )
    assert not await desk.ledger.planning.add_choices(None, one.id, choices, choices, (), NOW)
    assert await desk.ledger.planning.end(None, one.id, NOW) is None
    assert not await desk.ledger.planning.begin_reading(None, one.id)
    assert await desk.all_of(one.id) == []
    assert (await desk.find(one.id)).status is LaunchStatus.CANCELLED


async def test_planning_that_cannot_succeed_ends_with_its_reason_and_nobody(desk: Desk) -> None:
    one = await desk.create(source=[persons(1)])
    await desk.ledger.planning.begin_reading(None, one.id)
    choices, _ = Selection(LaunchRules(CAP, None), NOW).take(
        desk.ledger.aliases.keyed("default", persons(1, 1)), [(), ()]
    )
    await desk.ledger.planning.add_choices(None, one.id, choices, choices, (), NOW)
    await desk.ledger.planning.end_unplanned(None, one.id, "cohort_not_found", "There is none.", NOW + 5)
    ended = await desk.find(one.id)
    assert (ended.status, ended.phase, ended.error, ended.message, ended.finished_at) == (
        LaunchStatus.CANCELLED,
        None,
        "cohort_not_found",
        "There is none.",
        NOW + 5,
    )
    assert (ended.members_total, ended.to_invite, ended.skipped, ended.examples) == (0, 0, {}, ())
    assert await desk.all_of(one.id) == []
    assert (await desk.plan(*persons(1))).to_invite == 1


async def test_phases_move_only_while_a_launch_is_in_planning(desk: Desk) -> None:
    one, other = await desk.create(), await desk.create()
    launches = desk.ledger.launches
    await desk.ledger.planning.set_phase(
        None, one.id, Phase.POLL, due=NOW + 9, request_id="r1", message="Wait."
    )
    await desk.ledger.planning.set_phase(None, one.id, Phase.POLL, due=NOW + 10, cohort_name="C")
    moved = await desk.find(one.id)
    assert (moved.phase_due, moved.request_id, moved.cohort_name, moved.message) == (
        NOW + 10,
        "r1",
        "C",
        "Wait.",
    )
    assert [found.id for found in await launches.in_phases([Phase.POLL, Phase.READ])] == [other.id, one.id]
    await launches.cancel(one.id, NOW)
    await desk.ledger.planning.set_phase(None, one.id, Phase.READ, due=NOW)
    assert (await desk.find(one.id)).phase is None


async def test_a_plan_takes_nobody_and_is_used_once_within_ten_minutes(desk: Desk) -> None:
    plan = await desk.plan(*persons(1, 2))
    assert (plan.planned_at, plan.expires_at) == (NOW, NOW + 600_000)
    assert (await desk.launch(*persons(2))).waiting == 1, "a plan takes nobody"
    late = await desk.ledger.planning.use_plan(plan.id, NOW + 600_000)
    assert late is not None
    assert late.status is LaunchStatus.PLANNED
    used = await desk.ledger.planning.use_plan(plan.id, NOW + 599_999)
    assert used is not None
    assert (used.status, used.phase, used.goes_on) == (LaunchStatus.PLANNING, Phase.ACTIVATE, True)
    await planning.activate(desk.ctx, used)
    again = await desk.ledger.planning.use_plan(plan.id, NOW + 599_999)
    assert again is not None
    assert (again.status, again.waiting, again.skipped) == (LaunchStatus.RUNNING, 1, {"already_invited": 1})


async def test_of_many_who_use_a_plan_at_once_nobody_is_let_wait_twice(
    desk: Desk, other_ledger: Ledger
) -> None:
    plan = await desk.plan(*persons(*range(20)))
    await desk.ledger.planning.use_plan(plan.id, NOW)
    rules = planning.rules_of(desk.ctx, plan)

    async def activate(ledger: Ledger) -> None:
        while await ledger.planning.activate(plan.id, rules, NOW, 3):
            pass

    await asyncio.gather(*(activate(ledger) for ledger in (desk.ledger, other_ledger) * 3))
    one = await desk.find(plan.id)
    assert (one.status, one.waiting, one.planned) == (LaunchStatus.RUNNING, 20, 0)
    await desk.counts_are_true()


async def test_who_was_taken_meanwhile_moves_to_the_skipped(desk: Desk) -> None:
    plan = await desk.plan(*persons(1, 2, 3, 4))
    await desk.launch(who("Person-002@Example.com"), who(user="user-004"))
    used = await desk.use(plan)
    assert (used.status, used.to_invite, used.waiting, used.planned) == (LaunchStatus.RUNNING, 2, 2, 0)
    assert (used.members_total, used.skipped, used.started_at) == (4, {"already_invited": 2}, NOW)
    assert [one.user_id for one in await desk.all_of(plan.id)] == ["user-001", "user-003"]
    await desk.counts_are_true()


async def test_the_cap_counts_once_more_when_a_plan_is_used(desk: Desk) -> None:
    plan = await desk.plan(*persons(1, 2, 3, 4, 5))
    await desk.ledger.planning.use_plan(plan.id, NOW)
    while await desk.ledger.planning.activate(plan.id, LaunchRules(3, None), NOW, 2):
        pass
    used = await desk.find(plan.id)
    assert (used.waiting, used.skipped) == (3, {"over_limit": 2})


async def test_a_launch_of_which_nobody_is_left_is_finished(desk: Desk) -> None:
    await desk.launch(*persons(1))
    none = await desk.launch(*persons(1), days=30)
    assert (none.status, none.finished_at, none.skipped) == (
        LaunchStatus.FINISHED,
        NOW,
        {"recently_interviewed": 1},
    )
    desk.clock.advance(31 * DAY / 1000)
    still = await desk.launch(*persons(1), days=30)
    assert still.skipped == {"recently_interviewed": 1}, "who waits for a start is asked soon enough"
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}
    await desk.start_all()
    assert (await desk.launch(*persons(1), days=30)).skipped == {"recently_interviewed": 1}
    desk.clock.advance(31 * DAY / 1000)
    assert (await desk.launch(*persons(1), days=30)).waiting == 1


async def test_plans_that_nobody_used_are_deleted(desk: Desk) -> None:
    unused = await desk.plan(*persons(1, 2))
    used = await desk.plan(*persons(3))
    await desk.use(used)
    desk.clock.advance(60)
    young = await desk.plan(*persons(4))
    launches = desk.ledger.launches
    assert await desk.ledger.retention.delete_unused_plans(NOW + HOUR) == 0
    assert await desk.ledger.retention.delete_unused_plans(NOW + HOUR + 1) == 1
    assert await launches.find(unused.id) is None
    assert await desk.all_of(unused.id) == []
    assert (await desk.find(young.id)).planned == 1
    assert (await desk.find(used.id)).waiting == 1
    assert await desk.ledger.planning.use_plan(unused.id, NOW) is None
    assert (await desk.launch(*persons(1))).waiting == 1
    await desk.counts_are_true()
