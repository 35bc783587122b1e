"""What an erasure removes and keeps out, also of what is in flight."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connector.domain.launches.launch import LaunchStatus
from connector.domain.people.same_person import Member
from connector.domain.results.interview import SyncStatus
from tests.ledger.desk import DAY, NAMES, who
from tests.ledger.erasure.desk import ANN, EMAIL, JO, NAME, USER, ErasureDesk, except_for, interview, live
from tests.support.fakes import a_settlement, a_sync, a_webhook

pytestmark = pytest.mark.contract


async def test_no_table_holds_anything_of_a_forgotten_person_and_nobody_else_changes(
    desk: ErasureDesk,
) -> None:
    await live(desk, JO, "jo")
    before = await desk.dump()
    await live(desk, ANN, "ann")
    assert {table for table, _, _ in await desk.traces(EMAIL, USER, NAME)} == {
        "inbox", "invitation", "launch", "launch_source", "sync",
    }  # fmt: skip
    done = await desk.forget(email=EMAIL)
    texts = (f'"{EMAIL}', f" {EMAIL}", f"'{EMAIL}", USER, NAME, "st_secret", "theme of int-ann")
    jos = await desk.traces(*texts)
    assert {text for _, _, text in jos} <= {"st_secret"}
    assert done.counts["unset"] == 2
    await desk.all_true()
    after = await desk.dump()
    for table in ("inbox", "sync", "invitation", "launch", "launch_source", "secret"):
        for row in before[table]:
            assert row in after[table], table
    # the register still knows their names as hashes: their link to opt out counts for all of them
    asked = {0, *(row["register"] for row in after["invitation"])}
    rest = [row for row in after["alias"] if row["person"] in asked]
    assert rest == [row for row in rest if row["person"] == 0 or row in before["alias"]]


async def test_forgetting_a_stranger_changes_nothing_but_keeps_them_out(desk: ErasureDesk) -> None:
    await live(desk, JO, "jo")
    before = except_for(await desk.dump(), "alias", "erasure", "run", "lane")
    done = await desk.forget(email="nobody@example.com", user_id="nobody")
    assert except_for(await desk.dump(), "alias", "erasure", "run", "lane") == before
    assert done.interviews == []
    plan = await desk.plan(who("NOBODY@example.com"), who(None, "nobody"), JO, days=0)
    assert plan.skipped["suppressed"] == 2


async def test_a_second_forgetting_changes_nothing(desk: ErasureDesk) -> None:
    await live(desk, ANN, "ann")
    await desk.forget(email=EMAIL)
    before = except_for(await desk.dump(), "alias", "erasure", "run", "lane")
    calls: tuple[dict[str, Any], ...] = (
        {"email": EMAIL},
        {"user_id": USER},
        {"email": EMAIL.upper(), "user_id": USER},
    )
    for whom in calls:
        again = await desk.forget(**whom)
        assert set(again.counts) <= {"unset"}
    after = except_for(await desk.dump(), "alias", "erasure", "run", "lane")
    assert after == before


async def test_aliases_that_a_third_row_joined_are_one_person(desk: ErasureDesk) -> None:
    by_email = await desk.launch(who(EMAIL))
    by_id = await desk.launch(who(None, USER))
    joining = await desk.plan(ANN, days=0)
    assert (joining.to_invite, joining.skipped) == (0, {"recently_interviewed": 1})
    await desk.forget(email=EMAIL)
    for one in (by_email, by_id):
        assert await desk.states(one.id) == ["cancelled"]
        assert (await desk.find(one.id)).status is LaunchStatus.FINISHED
    assert await desk.traces(EMAIL, USER) == []
    await desk.all_true()


@pytest.mark.parametrize("first", ["prune", "forget"])
async def test_what_is_pruned_is_forgotten_too_and_stays_out(desk: ErasureDesk, first: str) -> None:
    await live(desk, ANN, "ann")
    (one,) = [row for row in await desk.all_of(desk.made[0]) if row.user_id]
    desk.clock.advance(40 * DAY / 1000)
    later = desk.now - DAY

    async def prune() -> None:
        await desk.ledger.retention.prune(later, desk.now)

    async def forget() -> None:
        await desk.forget(email=EMAIL)
        desk.clock.advance(2 * DAY / 1000)

    for step in (prune, forget) if first == "prune" else (forget, prune):
        await step()
    await desk.all_true()
    for late in (
        interview("late-1", EMAIL.title()),
        interview("late-2", None, external_id=USER),
        interview("late-3", None, external_id=one.id),
        interview("int-ann"),
    ):
        (seen,) = await desk.observe(late) or [await desk.of(late.interview_id)]
        assert seen.reason == "suppressed", late
    plan = await desk.plan(who(EMAIL), who(None, USER), days=0)
    assert plan.to_invite == 0
    assert "suppressed" in plan.skipped
    await desk.all_true()
    assert await desk.traces(NAME, "theme of late") == []


async def test_a_send_in_flight_is_settled_before_its_user_is_unset(desk: ErasureDesk) -> None:
    await desk.observe(interview("int-1"), interview("int-2", JO.email))
    amplitude = await desk.ledger.leases.acquire("amplitude:1", "me", desk.now, 3_600_000)
    assert amplitude is not None
    taken = await desk.ledger.sending.begin(amplitude, NAMES, desk.now, 10)
    assert len(taken) == 2
    run_id = await desk.erase(email=EMAIL)
    for _ in range(2):
        await desk.look()
        assert await desk.ledger.erasures.due_unset(NAMES, desk.now, ()) is None
        assert (await desk.found(run_id)).finished_at is None
    settled = [a_settlement(one.sync) for one in taken]
    await desk.ledger.sending.settle(amplitude, settled, desk.now, 0)
    await desk.look()
    assert await desk.unset() == [EMAIL]
    assert (await desk.found(run_id)).finished_at is not None
    assert (await desk.of("int-1")).status is SyncStatus.SYNCED
    assert (await desk.of("int-2")).user_id == JO.email
    assert await desk.traces(f'"{EMAIL}') == []
    await desk.all_true()


@pytest.mark.parametrize("outcome", ["started", "failed", "in_doubt", "not_started"])
async def test_a_start_in_flight_ends_and_is_never_tried_again(desk: ErasureDesk, outcome: str) -> None:
    launched = await desk.launch(ANN, JO)
    one = await desk.send()
    run_id = await desk.erase(user_id=USER)
    await desk.look()
    assert (await desk.found(run_id)).finished_at is None
    await desk.settle(one, outcome)
    # before anybody looks again, people and the lane go on
    await desk.ledger.launches.resume(launched.id, "retry", desk.now)
    while (following := await desk.waiting()).email != JO.email:
        assert await desk.begin(following) == "gone"
    await desk.look()
    await desk.unset()
    assert (await desk.found(run_id)).finished_at is not None
    await desk.ledger.launches.resume(launched.id, "retry", desk.now)
    assert (await desk.waiting()).email == JO.email
    assert await desk.traces(f'"{EMAIL}', USER, NAME, "st_secret", "https://koji.example") == []
    expected = outcome if outcome in ("started", "failed") else "cancelled"
    assert await desk.states(launched.id) == [expected, "waiting"]
    await desk.all_true()


async def test_a_start_whose_interview_came_back_before_its_answer_leaves_no_link(
    desk: ErasureDesk,
) -> None:
    await desk.launch(ANN)
    one = await desk.send()
    await desk.came_back(one, "int-1")
    run_id = await desk.erase(email=EMAIL)
    await desk.look()
    assert (await desk.found(run_id)).finished_at is None
    await desk.settle(one, "started")
    await desk.look()
    await desk.unset()
    assert (await desk.found(run_id)).finished_at is not None
    assert (await desk.get(one.id)).link is None
    await desk.all_true()


async def test_a_forgotten_person_may_not_be_started_after_a_crash(desk: ErasureDesk) -> None:
    launched = await desk.launch(ANN)
    await desk.send()
    await desk.erase(email=EMAIL)
    await desk.ledger.invitations.recover(desk.lease, NAMES, desk.now)
    assert await desk.states(launched.id) == ["in_doubt"]
    await desk.ledger.launches.resume(launched.id, "retry", desk.now)
    assert await desk.begin(await desk.waiting()) == "gone"
    assert await desk.ledger.invitations.next_waiting(NAMES, single=False) is None
    await desk.all_true()


async def test_who_turns_out_to_be_forgotten_is_not_started_any_more(desk: ErasureDesk) -> None:
    launched = await desk.launch(who(None, USER))
    await desk.forget(email=EMAIL)
    assert await desk.states(launched.id) == ["waiting"]
    plan = await desk.plan(ANN, days=0)
    assert plan.skipped == {"suppressed": 1}
    assert await desk.begin(await desk.waiting()) == "gone"
    assert await desk.states(launched.id) == ["cancelled"]
    assert (await desk.find(launched.id)).status is LaunchStatus.FINISHED
    await desk.all_true()


async def test_unread_deliveries_are_waited_for_and_erased(desk: ErasureDesk) -> None:
    await desk.ledger.inbox.accept(a_webhook("int-1", body=json.dumps({"email": EMAIL})))
    run_id = await desk.erase(email=EMAIL)
    await desk.ledger.inbox.accept(a_webhook("int-2", body=json.dumps({"email": JO.email})))
    await desk.look()
    assert (await desk.found(run_id)).finished_at is None
    new = await desk.ledger.inbox.take_new(NAMES, 1)
    facts = a_sync("int-1", facts=interview("int-1"))
    await desk.store(facts, done=[new[0].id])
    await desk.look()
    assert (await desk.found(run_id)).finished_at is not None  # what came in since is nobody's concern
    assert [row for row in await desk.traces(EMAIL) if row[0] != "inbox"] == []
    assert [one.body for one in await desk.ledger.inbox.received("default", "int-1")] == [None]


async def test_a_forgotten_person_gets_nothing_filled_in(desk: ErasureDesk) -> None:
    launch = await desk.launch(who(EMAIL))
    await desk.start_all()
    await desk.forget(email=EMAIL)
    named = Member("user-another", EMAIL, NAME)
    (keyed,) = desk.ledger.aliases.keyed("default", [named])
    await desk.ledger.attribution.learn(keyed)
    plan = await desk.plan(named, Member(None, EMAIL, NAME))
    assert plan.skipped == {"suppressed": 1, "duplicate_in_cohort": 1}
    assert [(one.user_id, one.email, one.name) for one in await desk.all_of(launch.id)] == [(None,) * 3]
