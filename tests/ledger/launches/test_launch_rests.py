"""Rests are kept in the transaction that takes a person, whatever was planned before."""

from __future__ import annotations

import pytest

from connector.domain.launches.eligibility import LaunchRules
from connector.domain.launches.launch import Example
from connector.domain.launches.rest import RestRules
from tests.ledger.desk import CAP, DAY, Desk, persons, who

pytestmark = pytest.mark.contract

RULES = LaunchRules(CAP, 0, rests=RestRules(after_invitation=30))


async def activated(desk: Desk, launch_id: str) -> None:
    while await desk.ledger.planning.activate(launch_id, RULES, desk.now, 2):
        pass


async def test_of_two_plans_with_a_person_the_second_lets_the_person_rest(desk: Desk) -> None:
    plans = [await desk.plan(*persons(1, 2), who("person-003@example.com"), days=0) for _ in range(2)]
    for plan in plans:
        await desk.ledger.planning.use_plan(plan.id, desk.now)
        await activated(desk, plan.id)
        await desk.start_all()
    first, second = [await desk.find(plan.id) for plan in plans]
    assert (first.started, first.skipped) == (3, {})
    assert (second.started, second.skipped) == (0, {"resting": 3})
    until = desk.now + 30 * DAY
    assert second.examples == (
        Example("user-001", "resting", "after_invitation", until),
        Example("user-002", "resting", "after_invitation", until),
    )
    await desk.counts_are_true()


async def test_people_who_turn_out_to_be_one_rest_as_one(desk: Desk) -> None:
    await desk.launch(who("person-001@example.com"), who(user="user-001"))
    await desk.start_all()
    await desk.launch(*persons(1), days=0)  # which joins both
    await desk.start_all()
    plan = await desk.plan(who(user="user-001"), days=0)
    await desk.ledger.planning.use_plan(plan.id, desk.now)
    await activated(desk, plan.id)
    assert (await desk.find(plan.id)).skipped == {"resting": 1}
