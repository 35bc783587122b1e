"""Calling off a launch, pausing it, and deciding over doubtful starts."""

from __future__ import annotations

import pytest

from connector.domain.launches.eligibility import LaunchRules
from connector.domain.launches.launch import Invitation, InvitationState, Launch, LaunchStatus
from connector.domain.results.sync import ListFilter
from tests.ledger.desk import CAP, DAY, NAMES, Desk, persons
from tests.support.fakes import NOW

pytestmark = pytest.mark.contract


async def test_calling_off_frees_who_is_not_sent_to(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2, 3, 4))
    done = await desk.send()
    await desk.settle(done, "started")
    sending = await desk.send()
    called_off = await desk.ledger.launches.cancel(launched.id, NOW + 5)
    assert called_off is not None
    assert (called_off.status, called_off.cancelled, called_off.sending, called_off.waiting) == (
        LaunchStatus.CANCELLED,
        2,
        1,
        0,
    )
    assert called_off.finished_at == NOW + 5
    assert await desk.states(launched.id) == ["started", "sending", "cancelled", "cancelled"]
    await desk.settle(sending, "started")
    assert (await desk.find(launched.id)).invited == 2
    assert await desk.ledger.launches.cancel(launched.id, NOW + 9) == await desk.find(launched.id)
    assert (await desk.find(launched.id)).finished_at == NOW + 5
    assert (await desk.launch(*persons(1, 2, 3, 4))).waiting == 2
    assert await desk.ledger.launches.cancel("lau_unknown", NOW) is None
    await desk.counts_are_true()


async def test_a_start_that_did_not_happen_is_called_off_with_its_launch(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    await desk.ledger.launches.cancel(launched.id, NOW)
    await desk.settle(one, "not_started")
    seen = await desk.find(launched.id)
    assert (seen.waiting, seen.cancelled) == (0, 1), (
        "nobody ever starts who waits in a launch that was called off"
    )
    assert await desk.left() == CAP
    assert (await desk.launch(*persons(1))).waiting == 1
    await desk.counts_are_true()


async def test_a_plan_that_was_called_off_cannot_be_used(desk: Desk) -> None:
    plan = await desk.plan(*persons(1, 2))
    await desk.ledger.launches.cancel(plan.id, NOW)
    used = await desk.ledger.planning.use_plan(plan.id, NOW)
    assert used is not None
    assert (used.status, used.cancelled) == (LaunchStatus.CANCELLED, 2)
    assert not await desk.ledger.planning.activate(plan.id, LaunchRules(CAP, None), NOW, 10)
    await desk.counts_are_true()


async def running(desk: Desk) -> int:
    """Count the running launches."""
    where = ListFilter(status="running")
    found = [await desk.ledger.launches.listed(name, where, limit=100, after=None) for name in NAMES]
    return sum(map(len, found))


async def test_calling_off_in_the_middle_of_the_second_look(desk: Desk) -> None:
    plan = await desk.plan(*persons(1, 2, 3))
    launches = desk.ledger.launches
    await desk.ledger.planning.use_plan(plan.id, NOW)
    assert await desk.ledger.planning.activate(plan.id, LaunchRules(CAP, None), NOW, 2)
    assert await desk.ledger.invitations.next_waiting(NAMES, single=False) is None, "nobody before all are"
    await launches.cancel(plan.id, NOW)
    assert not await desk.ledger.planning.activate(plan.id, LaunchRules(CAP, None), NOW, 2)
    assert (await desk.find(plan.id)).cancelled == 3
    assert (await desk.launch(*persons(1, 2, 3))).waiting == 3
    await desk.counts_are_true()


async def test_a_pause_holds_the_running_and_ends_one_by_one(desk: Desk) -> None:
    first, second = await desk.launch(*persons(1)), await desk.launch(*persons(2))
    plan = await desk.plan(*persons(3))
    assert await desk.ledger.launch_pauses.pause(["other"], "koji_key", NOW) == 0
    assert await desk.ledger.launch_pauses.pause(NAMES, "koji_credits", NOW) == 2
    assert await desk.ledger.launch_pauses.pause(NAMES, "koji_key", NOW) == 0
    assert (await desk.find(plan.id)).status is LaunchStatus.PLANNED
    assert await running(desk) == 0
    resumed = await desk.ledger.launches.resume(first.id, None, NOW)
    assert resumed is not None
    assert (resumed.status, resumed.pause_reason) == (LaunchStatus.RUNNING, None)
    assert (await desk.find(second.id)).pause_reason == "koji_credits"
    assert await running(desk) == 1
    assert await desk.ledger.launches.resume("lau_unknown", None, NOW) is None


async def test_a_pause_ends_when_the_last_one_is_settled(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    await desk.ledger.launch_pauses.pause(NAMES, "koji_key", NOW)
    await desk.settle(one, "started")
    seen = await desk.find(launched.id)
    assert (seen.status, seen.pause_reason) == (LaunchStatus.FINISHED, None)


async def doubtful(desk: Desk, *numbers: int) -> tuple[Launch, Invitation]:
    launched = await desk.launch(*persons(*numbers))
    one = await desk.send()
    await desk.settle(one, "in_doubt")
    return launched, one


async def test_trying_a_doubtful_start_again(desk: Desk) -> None:
    launched, one = await doubtful(desk, 1)
    assert (await desk.find(launched.id)).status is LaunchStatus.FINISHED
    unchanged = await desk.ledger.launches.resume(launched.id, None, NOW)
    assert unchanged is not None
    assert (unchanged.status, unchanged.in_doubt) == (LaunchStatus.FINISHED, 1)
    again = await desk.ledger.launches.resume(launched.id, "retry", NOW + DAY)
    assert again is not None
    assert (again.status, again.in_doubt, again.waiting, again.finished_at) == (
        LaunchStatus.RUNNING,
        0,
        1,
        None,
    )
    waiting = await desk.waiting()
    assert (waiting.id, waiting.message, waiting.taken_at) == (one.id, None, NOW + DAY)
    await desk.start_all()
    assert (await desk.find(launched.id)).status is LaunchStatus.FINISHED
    await desk.counts_are_true()


async def test_giving_up_a_doubtful_start(desk: Desk) -> None:
    launched, one = await doubtful(desk, 1, 2)
    await desk.ledger.launch_pauses.pause(NAMES, "koji_key", NOW)
    given_up = await desk.ledger.launches.resume(launched.id, "give_up", NOW)
    assert given_up is not None
    assert (given_up.status, given_up.failed, given_up.in_doubt) == (LaunchStatus.RUNNING, 1, 0)
    lost = await desk.get(one.id)
    assert (lost.state, lost.reason) == (InvitationState.FAILED, "outcome_unknown")
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}, "still taken"
    await desk.came_back(one, "int-1", over=False)
    back = await desk.get(one.id)
    assert (back.state, back.reason, back.message) == (InvitationState.STARTED, None, None)
    await desk.counts_are_true()


async def test_doubtful_starts_of_a_launch_that_was_called_off_are_not_tried_again(desk: Desk) -> None:
    launched, _ = await doubtful(desk, 1, 2)
    await desk.ledger.launches.cancel(launched.id, NOW)
    seen = await desk.ledger.launches.resume(launched.id, "retry", NOW)
    assert seen is not None
    assert (seen.status, seen.in_doubt, seen.cancelled) == (LaunchStatus.CANCELLED, 1, 1)
    seen = await desk.ledger.launches.resume(launched.id, "give_up", NOW)
    assert seen is not None
    assert (seen.status, seen.failed) == (LaunchStatus.CANCELLED, 1)
    await desk.counts_are_true()


async def test_a_doubtful_start_of_whom_nothing_is_known_any_more_is_not_tried_again(desk: Desk) -> None:
    launched, one = await doubtful(desk, 1)
    await desk.ledger.retention.prune(NOW + 1, NOW + 91 * DAY)
    seen = await desk.ledger.launches.resume(launched.id, "retry", NOW + 91 * DAY)
    assert seen is not None
    assert (seen.in_doubt, seen.waiting) == (1, 0), "a link for nobody would be paid"
    seen = await desk.ledger.launches.resume(launched.id, "give_up", NOW + 91 * DAY)
    assert seen is not None
    assert (seen.failed, (await desk.get(one.id)).reason) == (1, "outcome_unknown")
