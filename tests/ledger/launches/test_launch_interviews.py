"""Interviews that come back to their invitations or stay silent, and pruning."""

from __future__ import annotations

from itertools import product

import pytest

from connector.domain.launches.launch import InvitationState, LaunchStatus
from connector.domain.results.interview import Interview
from tests.ledger.desk import DAY, HOUR, NAMES, Desk, handed, persons, who
from tests.support.fakes import NOW, a_sync

pytestmark = pytest.mark.contract


async def test_an_interview_that_comes_back_belongs_to_its_invitation(desk: Desk) -> None:
    states = ("started", "in_doubt", "failed", "sending", "waiting", "expired")
    for number, (before, over) in enumerate(product(states, (True, False))):
        launched = await desk.launch(*persons(number))
        one = await desk.waiting()
        if before != "waiting":
            assert await desk.begin(one) == "sending"
        if before == "expired":
            await desk.settle(one, "started")
            await desk.ledger.invitations.polled(desk.lease, one.id, None, desk.now)
        elif before not in {"waiting", "sending"}:
            await desk.settle(one, before)
        await desk.came_back(one, f"int-back-{number}", over=over)
        back = await desk.get(one.id)
        assert (str(back.state), back.interview_id, back.due, back.reason) == (
            "completed" if over else "started",
            f"int-back-{number}",
            None,
            None,
        ), before
        assert back.taken_at is not None
        assert (await desk.launch(*persons(number))).skipped == {"already_invited": 1}
        assert (await desk.find(launched.id)).status is LaunchStatus.FINISHED
        await desk.counts_are_true()


async def test_an_answer_to_the_start_that_comes_after_the_interview_changes_little(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    await desk.came_back(one, "int-back")
    await desk.settle(one, "started")
    back = await desk.get(one.id)
    assert (back.state, back.interview_id, back.session_token, back.due) == (
        InvitationState.COMPLETED,
        "int-back",
        None,
        None,
    )
    assert (back.link, back.sending_since) == (f"https://koji.example/{one.id}", None)
    assert (await desk.find(launched.id)).completed == 1
    assert await desk.ledger.invitations.recover(desk.lease, NAMES, NOW) == 0
    await desk.counts_are_true()


async def test_a_start_whose_interview_came_back_first_is_settled_by_any_answer(desk: Desk) -> None:
    for number, outcome in enumerate(("in_doubt", "not_started", "failed")):
        await desk.launch(*persons(number))
        one = await desk.send()
        await desk.came_back(one, f"int-back-{number}")
        await desk.settle(one, outcome)
        assert (await desk.get(one.id)).state is InvitationState.COMPLETED
        assert await desk.ledger.invitations.recover(desk.lease, NAMES, NOW) == 0, outcome
    await desk.counts_are_true()


async def test_a_started_interview_that_another_replaced_is_neither_read_nor_ended(desk: Desk) -> None:
    await desk.launch(*persons(1))
    one = await desk.send()
    await desk.ledger.invitations.started(desk.lease, one.id, handed(one, NOW, complete_due=NOW + HOUR), NOW)
    await desk.came_back(one, "another", over=False)
    back = await desk.get(one.id)
    assert (back.state, back.interview_id, back.session_token) == (InvitationState.STARTED, "another", None)
    assert await desk.ledger.invitations.next_due(NAMES) is None
    await desk.came_back(one, "another", over=True)
    await desk.came_back(one, "another", over=False)
    assert (await desk.get(one.id)).state is InvitationState.COMPLETED
    await desk.counts_are_true()


async def test_an_interview_of_another_connection_or_of_a_strangers_id_binds_nothing(desk: Desk) -> None:
    await desk.launch(*persons(1))
    one = await desk.send()
    await desk.settle(one, "started")
    facts = Interview("int-x", external_id=one.id, invitee="somebody", has_ended=True)
    sync = a_sync("int-x", facts=facts, stage=None, connection="other")
    await desk.ledger.syncs.revise([("other", "int-x")], lambda *_: [sync])
    assert (await desk.get(one.id)).state is InvitationState.STARTED
    assert await desk.ledger.attribution.invited("other", [one.id]) == {}
    ours = await desk.ledger.attribution.invited("default", [one.id, "inv_x", "somebody"])
    assert {name: whom.invitee for name, whom in ours.items()} == {one.id: "user-001"}


async def test_what_links_an_anonymous_interview_to_a_person_goes_and_the_person_stays_taken(
    desk: Desk,
) -> None:
    await desk.launch(*persons(1))
    one = await desk.send()
    await desk.settle(one, "started")
    await desk.came_back(one, "int-back")
    desk.clock.advance(3600)
    await desk.came_back(one, "int-back", anonymous=True)
    left = await desk.get(one.id)
    assert (left.interview_id, left.link, left.session_token, left.updated_at % DAY) == (None, None, None, 0)
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}
    await desk.counts_are_true()


async def test_silent_interviews_are_due_until_they_expire_and_a_late_answer_revives_them(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2))
    first, second = await desk.send(), None
    await desk.settle(first, "started")
    desk.clock.advance(1)
    second = await desk.send()
    await desk.ledger.invitations.started(
        desk.lease, second.id, handed(second, desk.now, complete_due=desk.now), desk.now
    )
    invitations = desk.ledger.invitations
    assert await invitations.next_due(NAMES) == desk.now
    assert await invitations.due(NAMES, desk.now, complete=False) is None
    ending = await invitations.due(NAMES, desk.now, complete=True)
    assert ending is not None
    assert ending.id == second.id
    await invitations.completing(desk.lease, second.id, None)
    assert await invitations.next_due(NAMES) == NOW + HOUR
    silent = await invitations.due(NAMES, NOW + HOUR, complete=False)
    assert silent is not None
    assert silent.id == first.id
    await invitations.polled(desk.lease, first.id, NOW + DAY, desk.now)
    assert ((await desk.get(first.id)).polls, (await desk.get(first.id)).due) == (1, NOW + DAY)
    await invitations.polled(desk.lease, first.id, None, desk.now)
    await invitations.polled(desk.lease, first.id, None, desk.now)
    gone = await desk.get(first.id)
    assert (gone.state, gone.due, gone.complete_due) == (InvitationState.EXPIRED, None, None)
    seen = await desk.find(launched.id)
    assert (seen.expired, seen.started, seen.invited) == (1, 1, 2)
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}
    await desk.came_back(first, "int-late")
    await invitations.polled(desk.lease, first.id, None, desk.now)
    assert (await desk.get(first.id)).state is InvitationState.COMPLETED
    await desk.counts_are_true()


async def test_pruning_removes_names_and_keeps_nobody_invitable_twice(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2, 3, 4, 5), who(), *persons(1))
    for outcome in ("started", "in_doubt", "failed", "started"):
        await desk.settle(await desk.send(), outcome)
    done = (await desk.all_of(launched.id))[3]
    await desk.came_back(done, "int-back")
    later = NOW + 91 * DAY
    desk.clock.advance(91 * DAY / 1000)
    await desk.ledger.retention.prune(NOW + 1, later)
    left = await desk.all_of(launched.id)
    assert [(str(one.state), one.user_id, one.email, one.link, one.session_token) for one in left[:4]] == [
        (state, None, None, None, None) for state in ("started", "in_doubt", "failed", "completed")
    ]
    assert (left[4].state, left[4].email) == (InvitationState.WAITING, "person-005@example.com")
    assert (await desk.find(launched.id)).examples == ()
    assert await desk.ledger.attribution.invited("default", [left[0].id]) == {}
    again = await desk.launch(*persons(1, 2, 3, 4, 5))
    assert (again.waiting, again.skipped) == (1, {"already_invited": 4})
    assert [one.user_id for one in await desk.all_of(again.id)] == ["user-003"]
    assert await desk.ledger.retention.prune(NOW + 1, later) == 0
    await desk.counts_are_true()


async def test_downloads_are_counted_for_a_month(desk: Desk) -> None:
    launches = desk.ledger.launches
    for at in (NOW - 33 * DAY, NOW - DAY, NOW):
        await launches.note_download("amplitude:1", at)
    await launches.note_download("amplitude:2", NOW)
    assert await launches.downloads("amplitude:1", NOW - 40 * DAY) == [NOW - DAY, NOW]
    assert await launches.downloads("amplitude:1", NOW) == [NOW]
