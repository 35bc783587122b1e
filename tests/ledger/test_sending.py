"""What the ledger promises about sends: who goes, in which order, and what an answer may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from connector.domain.lease import Lease
from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.observation import Observation
from connector.domain.results.respondent import People
from connector.domain.results.sync import Outgoing, Sync
from connector.domain.results.transitions import advance
from connector.errors import Conflict
from connector.ledger.ledger import Ledger
from connector.settings.model import Connection
from connector.settings.rules import sync_rules
from tests.support.fakes import NOW, a_settlement, a_sync

pytestmark = pytest.mark.contract

LANE = "amplitude:1"
BOTH = ["default", "other"]


async def store(ledger: Ledger, *syncs: Sync) -> None:
    await ledger.syncs.revise([(one.connection, one.interview_id) for one in syncs], lambda *_: syncs)


async def change(ledger: Ledger, interview_id: str = "int_1", **told: Any) -> None:
    def revise(found: Mapping[tuple[str, str], Sync], _: People) -> Sequence[Sync]:
        return [found["default", interview_id]._replace(**told)]

    await ledger.syncs.revise([("default", interview_id)], revise)


async def find(ledger: Ledger, interview_id: str = "int_1") -> Sync:
    found = await ledger.syncs.find("default", interview_id)
    assert found is not None
    return found


@pytest.fixture
async def lease(ledger: Ledger) -> Lease:
    taken = await ledger.leases.acquire(LANE, "me", NOW, 30_000)
    assert taken is not None
    return taken


async def send_one(ledger: Ledger, lease: Lease, **told: Any) -> Sync:
    """Store one sync and take it, so that it is in flight."""
    await store(ledger, a_sync(**told))
    [one] = await ledger.sending.begin(lease, ["default"], NOW, 10)
    return one.sync


async def test_taken_once_frozen_and_in_order_of_completion(ledger: Ledger, lease: Lease) -> None:
    await store(
        ledger,
        a_sync("int_1", user="a", completed_at=NOW - 1),
        a_sync("int_2", user="b", completed_at=NOW - 3),
        a_sync("int_3", user="c", completed_at=NOW - 2, connection="other"),
        a_sync("int_4", user="d", due=NOW + 1),
        a_sync("int_5", user="e", stage=Stage.HOLD),
        a_sync("int_6", user="f", connection="third"),
    )
    taken = await ledger.sending.begin(lease, BOTH, NOW, 10)
    assert [one.sync.interview_id for one in taken] == ["int_2", "int_3", "int_1"]
    assert await ledger.sending.begin(lease, BOTH, NOW, 10) == []
    assert await ledger.syncs.next_due(Stage.SEND, ["default"]) == NOW + 1
    stored = await find(ledger)
    assert (stored.sending_since, stored.frozen_at) == (NOW, NOW)
    assert await ledger.sending.begin(lease, [], NOW, 10) == []


async def test_no_more_than_asked_for_and_the_longest_due_first(ledger: Ledger, lease: Lease) -> None:
    await store(ledger, *(a_sync(f"int_{at}", user=f"user-{at}", due=NOW - at) for at in range(6)))
    await store(ledger, a_sync("int_9", user="user-9", due=NOW - 9, connection="other"))
    taken = await ledger.sending.begin(lease, BOTH, NOW, 3)
    assert {one.sync.interview_id for one in taken} == {"int_9", "int_5", "int_4"}
    rest = await ledger.sending.begin(lease, BOTH, NOW, 500)
    assert {one.sync.interview_id for one in rest} == {"int_0", "int_1", "int_2", "int_3"}


def identified(taken: list[Outgoing]) -> list[str]:
    return [one.sync.interview_id for one in taken if one.identify]


@pytest.mark.parametrize(
    "newer",
    [
        {"status": SyncStatus.SYNCED, "stage": None},
        {"stage": Stage.HOLD},
        {"stage": Stage.SEND, "due": NOW + 99},
        {"status": SyncStatus.FAILED, "stage": None, "unknown_since": NOW},
        {"status": SyncStatus.SYNCED, "stage": None, "connection": "other"},
    ],
)
async def test_user_properties_belong_to_the_newest(
    ledger: Ledger, lease: Lease, newer: dict[str, Any]
) -> None:
    old = a_sync("int_1", completed_at=NOW - 5)
    await store(ledger, old, a_sync("int_2", **({"completed_at": NOW - 4} | newer)))
    assert await ledger.sending.is_overtaken(BOTH, old)
    assert identified(await ledger.sending.begin(lease, BOTH, NOW, 10)) == []


@pytest.mark.parametrize(
    "other",
    [
        {"status": SyncStatus.SYNCED, "stage": None, "completed_at": NOW - 6},
        {"status": SyncStatus.SKIPPED, "stage": None},
        {"status": SyncStatus.FAILED, "stage": None},
        {"stage": Stage.READ},
        {"user": "grace@example.com", "status": SyncStatus.SYNCED, "stage": None},
        {"connection": "third", "status": SyncStatus.SYNCED, "stage": None},
    ],
)
async def test_user_properties_stay_with_it_otherwise(
    ledger: Ledger, lease: Lease, other: dict[str, Any]
) -> None:
    mine = a_sync("int_1", completed_at=NOW - 5)
    await store(ledger, mine, a_sync("int_2", **({"completed_at": NOW - 4} | other)))
    assert not await ledger.sending.is_overtaken(BOTH, mine)
    assert identified(await ledger.sending.begin(lease, BOTH, NOW, 10)) == ["int_1"]


async def test_a_refresh_that_a_newer_interview_overtook_is_called_off(ledger: Ledger, lease: Lease) -> None:
    kept: dict[str, Any] = {"status": SyncStatus.SYNCED, "synced_at": NOW - 9}
    await store(
        ledger,
        a_sync("int_1", completed_at=NOW - 5, **kept),
        a_sync("int_2", completed_at=NOW - 4, **kept),
        a_sync("int_3", user="grace", completed_at=NOW - 6, **kept),
        a_sync("int_4", user="grace", completed_at=NOW - 3),
    )
    taken = await ledger.sending.begin(lease, BOTH, NOW, 10)
    assert [(one.sync.interview_id, one.sync.is_refresh, one.identify) for one in taken] == [
        ("int_2", True, True),
        ("int_4", False, True),
    ]
    for overtaken in ("int_1", "int_3"):
        stored = await find(ledger, overtaken)
        assert (stored.status, stored.stage, stored.due, stored.sending_since) == ("synced", None, None, None)


async def test_of_two_that_ended_at_once_one_identifies(ledger: Ledger, lease: Lease) -> None:
    await store(ledger, a_sync("int_1"), a_sync("int_2"), a_sync("int_3", user="grace@example.com"))
    assert identified(await ledger.sending.begin(lease, BOTH, NOW, 10)) == ["int_2", "int_3"]


async def test_nobody_is_never_overtaken(ledger: Ledger) -> None:
    await store(ledger, a_sync("int_2", status=SyncStatus.SYNCED, stage=None))
    assert not await ledger.sending.is_overtaken(BOTH, a_sync(user_hash=None))
    assert not await ledger.sending.is_overtaken(BOTH, a_sync(completed_at=None))


async def test_accepted(ledger: Ledger, lease: Lease) -> None:
    sent = await send_one(ledger, lease)
    await ledger.sending.settle(lease, [a_settlement(sent)], NOW + 7, NOW + 900)
    stored = await find(ledger)
    assert (stored.status, stored.stage, stored.due, stored.sending_since) == (
        SyncStatus.SYNCED,
        None,
        None,
        None,
    )
    assert (stored.synced_at, stored.updated_at, stored.tries) == (NOW, NOW + 7, 1)
    assert stored.attempts == ({"at": NOW, "outcome": "accepted", "status": 200},)
    assert await ledger.counters.totals("default") == {("synced", ""): 1}
    await ledger.leases.release(lease)
    again = await ledger.leases.acquire(LANE, "you", NOW, 1_000)
    assert again is not None
    assert again.paced_until == NOW + 900


async def test_to_be_tried_again_and_refused(ledger: Ledger, lease: Lease) -> None:
    sent = await send_one(ledger, lease)
    waits = a_settlement(sent, SyncStatus.PENDING, reason="throttled", due=NOW + 30, unknown_since=NOW)
    await ledger.sending.settle(lease, [waits], NOW, 0)
    stored = await find(ledger)
    assert (stored.status, stored.reason, stored.stage, stored.due) == (
        SyncStatus.PENDING,
        "throttled",
        Stage.SEND,
        NOW + 30,
    )
    assert (stored.unknown_since, stored.frozen_at) == (NOW, NOW)
    assert await ledger.counters.totals("default") == {("pending", "throttled"): 1}
    [once_more] = await ledger.sending.begin(lease, ["default"], NOW + 30, 10)
    refused = a_settlement(once_more.sync, SyncStatus.FAILED, reason="rejected_by_amplitude")
    await ledger.sending.settle(lease, [refused], NOW, 0)
    assert (await find(ledger)).stage is None
    assert await ledger.counters.totals("default") == {("failed", "rejected_by_amplitude"): 1}


async def test_called_off_in_flight_and_accepted_is_synced(ledger: Ledger, lease: Lease) -> None:
    sent = await send_one(ledger, lease)
    await change(ledger, status=SyncStatus.SKIPPED, reason="below_quality_gate", stage=None, due=None)
    await ledger.sending.settle(lease, [a_settlement(sent)], NOW, 0)
    stored = await find(ledger)
    assert (stored.status, stored.reason) == (SyncStatus.SYNCED, None)
    assert stored.event == sent.event
    assert await ledger.counters.totals("default") == {("synced", ""): 1}


@pytest.mark.parametrize("status", [SyncStatus.PENDING, SyncStatus.FAILED])
async def test_called_off_in_flight_stays_so(ledger: Ledger, lease: Lease, status: SyncStatus) -> None:
    sent = await send_one(ledger, lease)
    await change(ledger, status=SyncStatus.SKIPPED, reason="below_quality_gate", stage=None, due=None)
    await ledger.sending.settle(lease, [a_settlement(sent, status, reason="throttled")], NOW, 0)
    stored = await find(ledger)
    assert (stored.status, stored.reason, stored.stage) == (SyncStatus.SKIPPED, "below_quality_gate", None)
    assert (stored.user_id, stored.user_hash, stored.identify, stored.event, stored.frozen_at) == (None,) * 5
    assert (stored.sending_since, stored.tries, len(stored.attempts)) == (None, 1, 1)
    assert await ledger.counters.totals("default") == {("skipped", "below_quality_gate"): 1}


async def test_found_anonymous_in_flight_forgets_who_it_was(ledger: Ledger, lease: Lease) -> None:
    facts = Interview("int_1", respondent_email="ada@example.com", external_id="inv_1", anonymous=True)
    sent = await send_one(ledger, lease)
    await change(ledger, status=SyncStatus.SKIPPED, reason="anonymous", stage=None, due=None, facts=facts)
    attempts = ({"at": NOW, "outcome": "rejected", "status": 400, "words": "ada@example.com is no id"},)
    await ledger.sending.settle(lease, [a_settlement(sent, SyncStatus.PENDING, attempts=attempts)], NOW, 0)
    stored = await find(ledger)
    assert stored.facts == Interview("int_1", anonymous=True)
    assert stored.user_id is None
    assert stored.attempts == ({"at": NOW - NOW % 86_400_000, "outcome": "rejected", "status": 400},)


async def hear(ledger: Ledger, **told: Any) -> None:
    """Let a webhook tell something of the interview."""
    heard = Observation(
        rules=sync_rules(Connection(koji_project_id="ours")), interview=Interview("int_1", **told), at=NOW + 1
    )
    await ledger.syncs.revise(
        [("default", "int_1")], lambda found, people: [advance(found["default", "int_1"], heard, people)]
    )


@pytest.mark.parametrize("lost", [False, True], ids=["timeout", "crash"])
async def test_what_was_perhaps_taken_and_is_called_off_keeps_its_body(
    ledger: Ledger, lease: Lease, lost: bool
) -> None:
    sent = await send_one(ledger, lease)
    await hear(ledger, quality_score=2)
    assert (await find(ledger)).reason == "below_quality_gate"
    if lost:
        await ledger.sending.recover(lease, ["default"], NOW + 2)
    else:
        unknown = a_settlement(sent, SyncStatus.PENDING, unknown_since=NOW)
        await ledger.sending.settle(lease, [unknown], NOW + 2, 0)
    await hear(ledger, quality_score=5, respondent_email="grace@example.com", email_given=True)
    [again] = await ledger.sending.begin(lease, ["default"], NOW + 3, 10)
    assert (again.sync.event, again.sync.identify, again.sync.user_id) == (
        sent.event,
        sent.identify,
        sent.user_id,
    )
    assert await ledger.counters.totals("default") == {("pending", "not_configured"): 1}


@pytest.mark.parametrize("status", [SyncStatus.PENDING, SyncStatus.SYNCED])
@pytest.mark.parametrize("mark", [{"anonymous": True}, {"anonymous": True, "project_id": "theirs"}])
async def test_whoever_turned_out_anonymous_in_flight_is_not_brought_back(
    ledger: Ledger, lease: Lease, status: SyncStatus, mark: dict[str, Any]
) -> None:
    sent = await send_one(ledger, lease)
    await hear(ledger, **mark)
    attempts = ({"at": NOW, "outcome": "unknown", "words": "ada@example.com"},)
    await ledger.sending.settle(
        lease, [a_settlement(sent, status, attempts=attempts, unknown_since=NOW)], NOW + 2, 0
    )
    stored = await find(ledger)
    assert stored.status is (SyncStatus.SYNCED if status is SyncStatus.SYNCED else SyncStatus.SKIPPED)
    assert stored.attempts == ({"at": NOW - NOW % 86_400_000, "outcome": "unknown"},)
    assert stored.event is stored.identify is stored.user_hash is None
    assert "ada" not in repr(stored)


@pytest.mark.parametrize("status", [SyncStatus.PENDING, SyncStatus.FAILED, SyncStatus.SYNCED])
async def test_a_forced_send_of_a_synced_one_stays_synced(
    ledger: Ledger, lease: Lease, status: SyncStatus
) -> None:
    sent = await send_one(ledger, lease, status=SyncStatus.SYNCED, force=True, synced_at=NOW - 9)
    await ledger.sending.settle(
        lease, [a_settlement(sent, status, reason="throttled", synced_at=None)], NOW, 0
    )
    stored = await find(ledger)
    waits = status is SyncStatus.PENDING
    assert (stored.status, stored.synced_at) == (SyncStatus.SYNCED, NOW - 9)
    assert stored.reason is None
    assert (stored.force, stored.stage) == (waits, Stage.SEND if waits else None)
    assert await ledger.counters.totals("default") == {("synced", ""): 1}


@pytest.mark.parametrize("status", [SyncStatus.PENDING, SyncStatus.SYNCED])
async def test_a_read_asked_for_in_flight_goes_on(ledger: Ledger, lease: Lease, status: SyncStatus) -> None:
    sent = await send_one(ledger, lease)
    await change(ledger, stage=Stage.READ, due=NOW + 3, force=True, reason="waiting_for_koji")
    await ledger.sending.settle(lease, [a_settlement(sent, status)], NOW, 0)
    stored = await find(ledger)
    assert (stored.status, stored.stage, stored.due, stored.force) == (status, Stage.READ, NOW + 3, True)
    assert stored.sending_since is None


async def test_an_owner_that_overslept_settles_nothing(
    ledger: Ledger, other_ledger: Ledger, lease: Lease
) -> None:
    sent = await send_one(ledger, lease)
    taken = await other_ledger.leases.acquire(LANE, "you", NOW + 30_001, 30_000)
    assert taken is not None
    with pytest.raises(Conflict):
        await ledger.sending.settle(lease, [a_settlement(sent)], NOW, 0)
    with pytest.raises(Conflict):
        await ledger.sending.begin(lease, BOTH, NOW, 1)
    with pytest.raises(Conflict):
        await ledger.sending.recover(lease, BOTH, NOW)
    assert (await find(ledger)).status is SyncStatus.PENDING
    assert await other_ledger.sending.recover(taken, ["default"], NOW + 40_000) == 1


async def test_sends_of_a_dead_owner_are_of_unknown_outcome(ledger: Ledger, lease: Lease) -> None:
    await send_one(ledger, lease, reason="throttled")
    await store(ledger, a_sync("int_2", connection="other", sending_since=NOW))
    assert await ledger.sending.recover(lease, ["default"], NOW + 9) == 1
    assert await ledger.sending.recover(lease, ["default"], NOW + 9) == 0
    stored = await find(ledger)
    assert (stored.sending_since, stored.unknown_since, stored.due) == (None, NOW, NOW + 9)
    assert (stored.status, stored.reason) == (SyncStatus.PENDING, "throttled")
    assert stored.attempts[-1]["outcome"] == "unknown"
    [again] = await ledger.sending.begin(lease, ["default"], NOW + 9, 10)
    assert again.sync.unknown_since == NOW


async def test_called_off_and_then_its_owner_died(ledger: Ledger, lease: Lease) -> None:
    await send_one(ledger, lease)
    await change(ledger, status=SyncStatus.SKIPPED, reason="anonymous", stage=None, due=None)
    assert await ledger.sending.recover(lease, ["default"], NOW + 9) == 1
    stored = await find(ledger)
    assert (stored.status, stored.sending_since, stored.user_id) == (SyncStatus.SKIPPED, None, None)
    assert stored.facts is not None
    assert stored.facts.respondent_email is None


async def test_of_many_attempts_the_first_and_the_newest_stay(ledger: Ledger, lease: Lease) -> None:
    sent = await send_one(ledger, lease)
    many = tuple({"at": at} for at in range(50))
    await ledger.sending.settle(lease, [a_settlement(sent, SyncStatus.PENDING, attempts=many)], NOW, 0)
    assert [one["at"] for one in (await find(ledger)).attempts] == [0, *range(31, 50)]


async def test_five_hundred_at_once(ledger: Ledger, lease: Lease) -> None:
    await store(ledger, *(a_sync(f"int_{at}", user=f"user-{at // 2}") for at in range(500)))
    taken = await ledger.sending.begin(lease, ["default"], NOW, 500)
    assert len(identified(taken)) == 250
    await ledger.sending.settle(lease, [a_settlement(one.sync) for one in taken], NOW, 0)
    assert await ledger.counters.totals("default") == {("synced", ""): 500}
    assert await ledger.sending.begin(lease, ["default"], NOW, 500) == []
