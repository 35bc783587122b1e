"""Starts of interviews at Koji, and the credits they take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select

from connector.domain.launches.credits import Spending
from connector.domain.launches.eligibility import LaunchRules, Selection
from connector.domain.launches.launch import InvitationState, LaunchStatus, Phase
from connector.errors import Conflict
from connector.ledger.db.schema.launches import invitation
from connector.ledger.ledger import Ledger
from tests.ledger.desk import CAP, DAY, HOUR, LANE, NAMES, Desk, handed, persons
from tests.support.fakes import NOW

pytestmark = pytest.mark.contract


async def test_the_oldest_running_launch_is_next_in_the_cohorts_order(desk: Desk) -> None:
    old = await desk.launch(*persons(1, 2))
    desk.clock.advance(1)
    new = await desk.launch(*persons(3))
    alone = await desk.launch(*persons(4), single=True)
    seen = []
    for _ in range(3):
        one = await desk.send()
        seen.append((one.launch_id, one.user_id))
        await desk.settle(one, "started")
    assert seen == [(old.id, "user-001"), (old.id, "user-002"), (new.id, "user-003")]
    assert await desk.ledger.invitations.next_waiting(NAMES, single=False) is None
    assert (await desk.waiting(single=True)).launch_id == alone.id
    assert await desk.ledger.invitations.next_waiting(["other"], single=True) is None


async def test_lanes_of_two_processes_never_spend_more_than_the_day_has(
    desk: Desk, other_ledger: Ledger
) -> None:
    second = await other_ledger.leases.acquire("links:second", "another process", desk.now, 60_000)
    await desk.launch(*persons(*range(30)))
    for n in range(15):
        one = await desk.waiting()
        other = await desk.ledger.invitations.next_waiting(NAMES, single=False, except_ids=[one.id])
        assert other is not None
        spending = Spending(f"key {n}", 3, 5)
        outcomes = await asyncio.gather(
            desk.ledger.invitations.begin_start(desk.lease, one, spending, desk.now),
            other_ledger.invitations.begin_start(second, other, spending, desk.now),
        )
        assert sorted(outcomes) == ["held", "sending"]
        assert await desk.ledger.invitations.credits_left(f"key {n}", 5, desk.now) == 2
    await desk.counts_are_true()


async def test_a_start_is_committed_with_its_credits_before_it_happens(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2))
    desk.clock.advance(60)
    one = await desk.waiting()
    assert await desk.begin(one, cost=3, cap=5) == "sending"
    assert await desk.begin(one, cost=1, cap=5) == "gone"
    stored = await desk.get(one.id)
    assert (stored.state, stored.sending_since, stored.taken_at) == (
        InvitationState.SENDING,
        desk.now,
        desk.now,
    )
    assert await desk.begin(await desk.waiting(), cost=3, cap=5) == "held"
    assert await desk.left() == CAP - 3
    seen = await desk.find(launched.id)
    assert (seen.sending, seen.waiting, seen.left) == (1, 1, 2)
    assert await desk.left(at=NOW + DAY) == CAP, "another day has its own"
    await desk.counts_are_true()


async def test_nobody_is_sent_to_of_a_launch_that_stands_still(desk: Desk) -> None:
    paused = await desk.launch(*persons(1))
    one = await desk.waiting()
    assert await desk.ledger.launch_pauses.pause(NAMES, "koji_key", NOW) == 1
    assert await desk.begin(one) == "gone"
    assert await desk.ledger.invitations.next_waiting(NAMES, single=False) is None
    await desk.ledger.launches.cancel(paused.id, NOW)
    assert await desk.begin(one) == "gone"
    assert await desk.left() == CAP
    await desk.counts_are_true()


async def test_what_a_person_was_handed(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    desk.clock.advance(2)
    await desk.ledger.invitations.started(
        desk.lease, one.id, handed(one, desk.now, complete_due=desk.now + DAY), desk.now
    )
    got = await desk.get(one.id)
    assert (got.state, got.sending_since, got.started_at, got.taken_at) == (
        InvitationState.STARTED,
        None,
        desk.now,
        desk.now,
    )
    assert (got.due, got.complete_due) == (desk.now + HOUR, desk.now + DAY)
    assert got.link == f"https://koji.example/{one.id}"
    assert await desk.ledger.attribution.of_interview("default", got.interview_id or "") == got
    assert await desk.ledger.attribution.of_interview("other", got.interview_id or "") is None
    seen = await desk.find(launched.id)
    assert (seen.status, seen.invited, seen.finished_at) == (LaunchStatus.FINISHED, 1, desk.now)
    assert await desk.left() == CAP - 3
    await desk.settle(one, "failed")
    assert await desk.get(one.id) == got, "only who is being sent to is settled"
    assert await desk.left() == CAP - 3


async def test_a_session_token_is_sealed_in_the_table(desk: Desk) -> None:
    await desk.launch(*persons(1, 2))
    one = await desk.send()
    await desk.settle(one, "started")
    other = await desk.send()
    await desk.ledger.invitations.started(
        desk.lease, other.id, handed(other, NOW, session_token=None, interview_id=None), NOW
    )
    rows = await desk.ledger.db.read(lambda c: c.execute(select(invitation)).all())
    assert not any("st_secret" in str(value) for row in rows for value in row)
    sealed = (await desk.get(one.id)).session_token
    assert sealed is not None
    assert desk.ledger.unseal(sealed) == "st_secret"
    assert (await desk.get(other.id)).session_token is None


async def test_a_start_that_did_not_happen_is_put_back_with_the_credits_of_its_day(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2))
    began = desk.now
    one = await desk.send()
    desk.clock.advance(DAY / 1000)
    await desk.settle(one, "not_started")
    assert (await desk.left(at=began), await desk.left()) == (CAP, CAP)
    back = await desk.waiting()
    assert (back.id, back.sending_since, back.taken_at) == (one.id, None, began)
    assert (await desk.find(launched.id)).waiting == 2
    await desk.settle(one, "not_started")
    assert await desk.left() == CAP, "credits are given back once"
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}
    await desk.counts_are_true()


async def test_a_start_of_unknown_outcome_is_taken_and_paid(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    await desk.settle(one, "in_doubt")
    doubt = await desk.get(one.id)
    assert (doubt.state, doubt.message, doubt.sending_since, doubt.taken_at) == (
        InvitationState.IN_DOUBT,
        "Koji was cut.",
        None,
        NOW,
    )
    assert await desk.left() == CAP - 3
    assert (await desk.find(launched.id)).status is LaunchStatus.FINISHED
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}
    await desk.settle(one, "not_started")
    assert (await desk.get(one.id)).state is InvitationState.IN_DOUBT


async def test_whom_koji_refused_may_be_invited_again(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    await desk.settle(one, "failed")
    refused = await desk.get(one.id)
    assert (refused.state, refused.reason, refused.message, refused.taken_at) == (
        InvitationState.FAILED,
        "refused_by_koji",
        "No such locale.",
        None,
    )
    assert await desk.left() == CAP
    seen = await desk.find(launched.id)
    assert (seen.status, seen.failed, seen.to_invite) == (LaunchStatus.FINISHED, 1, 1)
    assert (await desk.launch(*persons(1))).waiting == 1
    await desk.counts_are_true()


async def test_what_a_dead_owner_left_is_in_doubt(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2))
    one = await desk.send()
    heir = await desk.ledger.leases.acquire(LANE, "heir", NOW + 30_001, 30_000)
    assert heir is not None
    invitations = desk.ledger.invitations
    assert await invitations.recover(heir, ["other"], NOW + 30_001) == 0
    assert await invitations.recover(heir, NAMES, NOW + 30_001) == 1
    assert await invitations.recover(heir, NAMES, NOW + 30_001) == 0
    doubt = await desk.get(one.id)
    assert (doubt.state, doubt.sending_since, doubt.message) == (
        InvitationState.IN_DOUBT,
        None,
        "The connector stopped before Koji's answer.",
    )
    assert await desk.left() == CAP - 3
    seen = await desk.find(launched.id)
    assert (seen.in_doubt, seen.waiting, seen.sending) == (1, 1, 0)
    await desk.counts_are_true()


async def test_whoever_lost_the_lease_changes_nothing(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2))
    plan = await desk.create()
    one, other = await desk.send(), await desk.waiting()
    heir = await desk.ledger.leases.acquire(LANE, "heir", NOW + 30_001, 30_000)
    assert heir is not None
    invitations, lost = desk.ledger.invitations, desk.lease
    choices, _ = Selection(LaunchRules(CAP, None), NOW).take(
        desk.ledger.aliases.keyed("default", persons(9)), [()]
    )
    before = await desk.find(launched.id), await desk.find(plan.id), await desk.all_of(launched.id)
    tries: list[Callable[[], Awaitable[object]]] = [
        lambda: desk.begin(other),
        *(
            lambda outcome=outcome: desk.settle(one, outcome)
            for outcome in ("started", "not_started", "in_doubt", "failed")
        ),
        lambda: invitations.recover(lost, NAMES, NOW),
        lambda: invitations.polled(lost, one.id, None, NOW),
        lambda: invitations.completing(lost, one.id, NOW),
        lambda: desk.ledger.planning.begin_reading(lost, plan.id),
        lambda: desk.ledger.planning.add_choices(lost, plan.id, choices, choices, (), NOW),
        lambda: desk.ledger.planning.set_phase(lost, plan.id, Phase.POLL, due=NOW),
        lambda: desk.ledger.planning.end(lost, plan.id, NOW),
        lambda: desk.ledger.planning.end_unplanned(lost, plan.id, "cohort_empty", "Nobody.", NOW),
    ]
    for attempt in tries:
        with pytest.raises(Conflict):
            await attempt()
    assert before == (await desk.find(launched.id), await desk.find(plan.id), await desk.all_of(launched.id))
    assert await desk.left() == CAP - 3
    await desk.settle(one, "started", lease=heir)
    assert await desk.begin(other, lease=heir) == "sending"
    await desk.counts_are_true()
