"""Erasures beside planning, starts and interviews that come in, and what they count."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import event

from connector.domain.launches.credits import Spending
from connector.domain.launches.eligibility import Selection
from connector.domain.launches.launch import Example
from connector.ledger.ledger import Ledger
from connector.service import planning
from tests.ledger.desk import CAP, LANE, NAMES, who
from tests.ledger.erasure.desk import ANN, EMAIL, JO, NAME, RULES, USER, ErasureDesk, interview, live
from tests.support.fakes import a_sync, a_webhook

pytestmark = pytest.mark.contract


async def test_what_could_not_be_unset_is_told_also_after_a_second_look(desk: ErasureDesk) -> None:
    await desk.observe(interview("int-1"))
    await desk.ledger.inbox.accept(a_webhook("unread"))
    without = RULES._replace(can_unset=False)
    run_id = await desk.erase(email=EMAIL, rules=without)
    new = await desk.ledger.inbox.take_new(NAMES, 10)
    await desk.ledger.syncs.revise([], lambda *_: [], done=[one.id for one in new])
    for _ in range(2):
        await desk.look(rules=without)
    assert (await desk.found(run_id)).counts["not_unset"] == 1


async def test_a_second_look_counts_nothing_twice(desk: ErasureDesk) -> None:
    await live(desk, ANN, "ann")
    await desk.ledger.inbox.accept(a_webhook("unread"))
    run_id = await desk.erase(email=EMAIL)
    first = (await desk.found(run_id)).counts
    new = await desk.ledger.inbox.take_new(NAMES, 10)
    await desk.ledger.syncs.revise([], lambda *_: [], done=[one.id for one in new])
    await desk.look()
    assert (await desk.found(run_id)).counts == first
    assert (await desk.unset()) == sorted([EMAIL, USER])


async def test_planning_that_asked_before_and_decided_after_invites_nobody(desk: ErasureDesk) -> None:
    one = await desk.create(goes_on=False)
    assert await desk.ledger.planning.begin_reading(None, one.id)
    keyed = desk.ledger.aliases.keyed("default", [ANN, JO])
    history = await desk.ledger.aliases.history(keyed)
    choices, _ = Selection(planning.rules_of(desk.ctx, one), desk.now).take(keyed, history)
    await desk.forget(email=EMAIL)
    assert await desk.ledger.planning.add_choices(None, one.id, choices, choices, (), desk.now)
    planned = await desk.ledger.planning.end(None, one.id, desk.now)
    assert planned is not None
    assert (planned.to_invite, planned.skipped) == (1, {"suppressed": 1})
    assert await desk.traces(f'"{EMAIL}', USER, NAME) == []
    await desk.all_true()


async def test_planning_that_asked_before_shows_nobody_as_an_example_after(desk: ErasureDesk) -> None:
    await desk.launch(ANN, JO)
    one = await desk.create(goes_on=False)
    assert await desk.ledger.planning.begin_reading(None, one.id)
    keyed = desk.ledger.aliases.keyed("default", [ANN, JO])
    history = await desk.ledger.aliases.history(keyed)
    choices, _ = Selection(planning.rules_of(desk.ctx, one), desk.now).take(keyed, history)
    await desk.forget(email=EMAIL)
    assert await desk.ledger.planning.add_choices(None, one.id, choices, [], (), desk.now)
    planned = await desk.ledger.planning.end(None, one.id, desk.now)
    assert planned is not None
    assert planned.examples == (Example(str(JO.user_id), "already_invited"),)
    assert await desk.traces(USER) == []
    await desk.all_true()


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_an_interview_that_comes_in_while_its_person_is_forgotten_is_not_kept(
    desk: ErasureDesk, other_ledger: Ledger
) -> None:
    for at in range(12):
        email = f"racer-{at}@example.com"
        syncs = [a_sync(f"int-{at}-{n}", email, facts=interview(f"int-{at}-{n}", email)) for n in range(4)]
        await asyncio.gather(
            desk.erase(email=email),
            *(desk.store(one, ledger=other_ledger) for one in syncs),
        )
    await desk.all_true()
    rows = (await desk.dump())["sync"]
    assert {row["reason"] for row in rows} == {"suppressed"}
    assert await desk.traces("racer-") == []


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_news_of_a_known_interview_does_not_stop_a_forgetting(
    desk: ErasureDesk, other_ledger: Ledger
) -> None:
    errors: list[str] = []  # a deadlock ends after a second, and what it stopped is tried again
    for one in (desk.ledger, other_ledger):
        event.listen(one.db._write_engine, "handle_error", lambda told: errors.append(repr(told)))
    for at in range(8):
        email = f"racer-{at}@example.com"
        facts = [interview(f"int-{at}-{n}", email) for n in range(8)]
        syncs = [a_sync(one.interview_id, email, facts=one, stage=None) for one in facts]
        await desk.store(*syncs)
        await asyncio.gather(
            desk.erase(email=email),
            *(desk.store(one, ledger=other_ledger) for one in syncs),
        )
    assert errors == []
    await desk.all_true()
    assert await desk.traces("racer-") == []


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_starts_that_begin_while_their_person_is_forgotten_are_counted_once(
    desk: ErasureDesk, other_ledger: Ledger
) -> None:
    for at in range(25):
        person = who(f"racer-{at}@example.com")
        launched = await desk.launch(person)
        one = await desk.waiting()
        await asyncio.gather(
            desk.erase(email=person.email or ""),
            other_ledger.invitations.begin_start(desk.lease, one, Spending(LANE, 1, CAP), desk.now),
        )
        assert await desk.states(launched.id) in (["cancelled"], ["sending"])
        await desk.counts_are_true()
        if await desk.states(launched.id) == ["sending"]:
            await desk.settle(one, "not_started")


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_plans_that_are_used_or_called_off_while_somebody_is_forgotten_add_up(
    desk: ErasureDesk, other_ledger: Ledger
) -> None:
    for at in range(12):
        person = who(f"racer-{at}@example.com")
        plan = await desk.plan(person, who(f"other-{at}@example.com"))
        if at % 2:
            await desk.ledger.planning.use_plan(plan.id, desk.now)
            rules = planning.rules_of(desk.ctx, plan)
            await asyncio.gather(
                desk.erase(email=person.email or ""),
                other_ledger.planning.activate(plan.id, rules, desk.now, 10),
            )
        else:
            await asyncio.gather(
                desk.erase(email=person.email or ""), other_ledger.launches.cancel(plan.id, desk.now)
            )
        await desk.counts_are_true()
    assert await desk.traces("racer-") == []
