"""Rows and calls of one person complete each other's invitation."""

from __future__ import annotations

import pytest

from connector.domain.launches.launch import Invitation
from connector.domain.people.same_person import Member, member
from connector.security.opt_out_token import OptOut
from tests.ledger.desk import DAY, Desk
from tests.support.fakes import a_sync

pytestmark = pytest.mark.contract

EMAIL, USER, NAME = "ann@example.com", "user-ann", "Ann"
ADDRESS, ID, NAMED = member(None, EMAIL, None), member(USER, EMAIL, None), member(None, EMAIL, NAME)
WHOLE = (USER, EMAIL, NAME)


def told(one: Invitation) -> tuple[str | None, ...]:
    return one.user_id, one.email, one.name


async def of(desk: Desk, launch_id: str) -> list[tuple[str | None, ...]]:
    return [told(one) for one in await desk.all_of(launch_id)]


@pytest.mark.parametrize(
    "rows", [[ADDRESS, ID, NAMED], [NAMED, ADDRESS, ID], [member(USER, None, None), ID, NAMED]]
)
@pytest.mark.parametrize("in_chunks", [False, True])
async def test_rows_with_one_of_the_fields_each_make_one_whole_invitation(
    desk: Desk, rows: list[Member], in_chunks: bool
) -> None:
    chunks = [[row] for row in rows] if in_chunks else [rows]
    plan = await desk.decide(*chunks, goes_on=False)
    assert (plan.to_invite, plan.skipped) == (1, {"duplicate_in_cohort": 2})
    assert await of(desk, plan.id) == [WHOLE]
    await desk.use(plan)
    assert await of(desk, plan.id) == [WHOLE]
    await desk.counts_are_true()


async def test_the_first_value_given_stays(desk: Desk) -> None:
    later = member("user-other", EMAIL, "Anna"), member("user-third", EMAIL, "Bea")
    plan = await desk.plan(ADDRESS, *later)
    assert await of(desk, plan.id) == [("user-other", EMAIL, "Anna")]
    plan = await desk.plan(
        member("user-bob", "bob@example.com", "Bob"), member("user-bob", "b@example.com", "B.")
    )
    assert await of(desk, plan.id) == [("user-bob", "bob@example.com", "Bob")]


async def test_rows_that_turn_out_to_be_one_person_after_both_were_planned_share_what_they_have(
    desk: Desk,
) -> None:
    plan = await desk.plan(member(USER, None, None), NAMED, member(USER, EMAIL, "Annabel"))
    assert await of(desk, plan.id) == [WHOLE, WHOLE]
    used = await desk.use(plan)
    assert (used.waiting, await of(desk, plan.id)) == (1, [WHOLE])


async def test_a_placeholder_fills_nothing(desk: Desk) -> None:
    plan = await desk.plan(ADDRESS, member("{{user_id}}", EMAIL, "null"), member("N/A", EMAIL, None))
    assert await of(desk, plan.id) == [(None, EMAIL, None)]


@pytest.mark.parametrize("sample", ["first", "random"])
async def test_of_people_who_are_not_chosen_nothing_is_kept(desk: Desk, sample: str) -> None:
    people = [member(None, f"person-{n:03}@example.com", None) for n in range(40)]
    again = [member(f"user-{n:03}", f"person-{n:03}@example.com", f"Person {n}") for n in range(40)]
    told = {"limit": 5, "sample": sample, "seed": "s" if sample == "random" else None}
    plan = await desk.decide(people[:20], [*again[:20], *people[20:]], again[20:], goes_on=False, **told)
    assert (plan.to_invite, plan.skipped) == (5, {"duplicate_in_cohort": 40, "over_limit": 35})
    assert all(None not in row for row in await of(desk, plan.id))
    await desk.counts_are_true()


async def test_a_plan_is_not_changed_by_another(desk: Desk) -> None:
    plan, waits = await desk.plan(ADDRESS), await desk.launch(member(None, "bob@example.com", None))
    bob = member("user-bob", "bob@example.com", "Bob")
    other = await desk.plan(ID, NAMED, bob)
    assert await of(desk, plan.id) == [(None, EMAIL, None)]
    assert await of(desk, other.id) == [WHOLE]
    assert await of(desk, waits.id) == [("user-bob", "bob@example.com", "Bob")]


async def learn(desk: Desk, one: Member) -> None:
    (keyed,) = desk.ledger.aliases.keyed("default", [one])
    await desk.ledger.attribution.learn(keyed)


async def invitee(desk: Desk, one: Invitation) -> str | None:
    found = (await desk.ledger.attribution.invited("default", [one.id])).get(one.id)
    return None if found is None else found.invitee


async def test_what_koji_was_told_stays_and_the_result_goes_to_the_user_id(desk: Desk) -> None:
    launch = await desk.launch(ADDRESS)
    await desk.start_all()
    (one,) = await desk.all_of(launch.id)
    assert await invitee(desk, one) == EMAIL
    await learn(desk, member(USER, EMAIL, NAME))
    assert await of(desk, launch.id) == [(USER, EMAIL, None)]
    assert await invitee(desk, one) == USER
    await learn(desk, member("user-other", EMAIL, None))
    assert await invitee(desk, one) == USER


async def test_an_interview_that_has_an_amplitude_user_keeps_it(desk: Desk) -> None:
    launch = await desk.launch(ADDRESS, member(None, "bob@example.com", None))
    await desk.start_all()
    ann, bob = await desk.all_of(launch.id)
    await desk.came_back(ann, "int-1")
    # Koji's answer names the respondent, and not the invitation
    sync = a_sync(bob.interview_id or "", user_id="bob@example.com", updated_at=desk.now)
    await desk.ledger.syncs.revise([("default", sync.interview_id)], lambda *_: [sync])
    await learn(desk, ID)
    await learn(desk, member("user-bob", "bob@example.com", None))
    assert await of(desk, launch.id) == [(None, EMAIL, None), (None, "bob@example.com", None)]


async def test_an_anonymous_interview_and_a_pruned_invitation_get_nothing(desk: Desk) -> None:
    launch = await desk.launch(ADDRESS, member(None, "bob@example.com", None))
    await desk.start_all()
    ann, _ = await desk.all_of(launch.id)
    await desk.came_back(ann, ann.interview_id or "", anonymous=True)
    await learn(desk, ID)
    assert [row[0] for row in await of(desk, launch.id)] == [None, None]
    desk.clock.advance(91 * DAY / 1000)
    await desk.ledger.retention.prune(desk.now - DAY, desk.now)
    await learn(desk, ID)
    await learn(desk, member("user-bob", "bob@example.com", None))
    assert await of(desk, launch.id) == [(None, None, None)] * 2


async def test_who_opted_out_is_not_planned_and_gets_nothing(desk: Desk) -> None:
    launch = await desk.launch(ADDRESS)
    (one,) = await desk.all_of(launch.id)
    assert one.register is not None
    await desk.ledger.register.opt_out(OptOut(one.id, one.register), desk.now)
    plan = await desk.plan(ID, NAMED)
    assert (plan.skipped, await of(desk, plan.id)) == ({"opted_out": 1, "duplicate_in_cohort": 1}, [])
    assert await of(desk, launch.id) == [(None, EMAIL, None)]
