"""What the ledger promises about syncs, lists, counters and runs, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.respondent import People
from connector.domain.results.sync import ListFilter, Sync
from connector.errors import Conflict
from connector.ledger.ledger import Ledger
from tests.support.fakes import NOW, a_run, a_sync, a_webhook

pytestmark = pytest.mark.contract

Found = Mapping[tuple[str, str], Sync]


async def store(ledger: Ledger, *syncs: Sync, **more: Any) -> list[Sync]:
    return await ledger.syncs.revise(
        [(one.connection, one.interview_id) for one in syncs], lambda *_: syncs, **more
    )


async def test_every_column_comes_back_with_its_type(ledger: Ledger) -> None:
    full = a_sync(
        reason="throttled",
        synced_at=NOW,
        facts=Interview(
            "int_1", ready=True, anonymous=False, email_given=True, themes=("b", "a"), quality_score=3.25
        ),
        from_call=True,
        reads=2,
        tries=3,
        frozen_at=NOW,
        sending_since=NOW,
        unknown_since=NOW,
        attempts=({"at": NOW, "words": "é \U0001f600"},),
        run_id="run_1",
        backfill=True,
        force=True,
    )
    bare = a_sync(
        "int_2", facts=None, user_id=None, user_hash=None, identify=None, event=None, stage=None, due=None
    )
    await store(ledger, full, bare)
    assert await ledger.syncs.find("default", "int_1") == full
    assert await ledger.syncs.find("default", "int_2") == bare
    assert await ledger.syncs.find("other", "int_1") is None
    await store(ledger, full._replace(force=False, from_call=False))
    found = await ledger.syncs.find("default", "int_1")
    assert found is not None
    assert (found.force, found.from_call, found.backfill) == (False, False, True)


async def test_revise_sees_what_is_there_and_stores_what_it_makes(ledger: Ledger) -> None:
    await store(ledger, a_sync("int_1"), a_sync("int_2"))

    def revise(found: Found, _: People) -> Sequence[Sync]:
        assert set(found) == {("default", "int_1"), ("default", "int_2")}
        changed = found["default", "int_1"]._replace(status=SyncStatus.FAILED, reason="not_found_in_koji")
        return [changed, a_sync("int_3")]

    changed = await ledger.syncs.revise([("default", f"int_{i}") for i in (1, 2, 3)], revise)
    assert [one.interview_id for one in changed] == ["int_1", "int_3"]
    assert await ledger.counters.totals("default") == {("pending", ""): 2, ("failed", "not_found_in_koji"): 1}
    assert await ledger.counters.totals("other") == {}


async def test_counters_go_by_day_and_never_drift(ledger: Ledger) -> None:
    ids = [f"int_{number}" for number in range(30)]
    await store(
        ledger, *(a_sync(one, first_received_at=NOW + 86_400_000 * (at % 3)) for at, one in enumerate(ids))
    )

    async def skip(one: str) -> None:
        def revise(found: Found, _: People) -> Sequence[Sync]:
            return [found["default", one]._replace(status=SyncStatus.SKIPPED, reason="below_quality_gate")]

        await ledger.syncs.revise([("default", one)], revise)

    await asyncio.gather(*(skip(one) for one in ids[:20]), *(skip(one) for one in ids[:10]))
    assert await ledger.counters.totals("default") == {
        ("pending", ""): 10,
        ("skipped", "below_quality_gate"): 20,
    }


async def test_two_processes_that_store_one_interview_first(ledger: Ledger, other_ledger: Ledger) -> None:
    ids = [f"int_{number}" for number in range(40)]

    async def count_up(by: Ledger, one: str) -> None:
        def revise(found: Found, _: People) -> Sequence[Sync]:
            was = found.get(("default", one))
            return [a_sync(one, reads=1) if was is None else was._replace(reads=was.reads + 1)]

        await by.syncs.revise([("default", one)], revise)

    await asyncio.gather(*(count_up(by, one) for one in ids for by in (ledger, other_ledger)))
    assert [(await ledger.syncs.find("default", one) or a_sync()).reads for one in ids] == [2] * 40
    assert await ledger.counters.totals("default") == {("pending", ""): 40}


async def test_overlapping_batches_of_two_processes_end_well(ledger: Ledger, other_ledger: Ledger) -> None:
    ids = [f"int_{number}" for number in range(50)]
    await store(ledger, *map(a_sync, ids))

    async def count_up(by: Ledger, order: Sequence[str]) -> None:
        def revise(found: Found, _: People) -> Sequence[Sync]:
            return [found["default", one]._replace(reads=found["default", one].reads + 1) for one in order]

        await by.syncs.revise([("default", one) for one in order], revise)

    rounds = [
        count_up(by, order) for _ in range(5) for by, order in ((ledger, ids), (other_ledger, ids[::-1]))
    ]
    await asyncio.gather(*rounds)
    assert {(await ledger.syncs.find("default", one) or a_sync()).reads for one in ids} == {10}


async def test_a_lost_lease_changes_nothing(ledger: Ledger) -> None:
    old = await ledger.leases.acquire("intake", "me", NOW, 1_000)
    assert old is not None
    assert await ledger.leases.acquire("intake", "you", NOW + 2_000, 1_000)
    await ledger.inbox.accept(a_webhook())
    [delivery] = await ledger.inbox.take_new(["default"], 1)
    with pytest.raises(Conflict) as lost:
        await store(ledger, a_sync(), lease=old, done=[delivery.id], record=[a_webhook()])
    assert lost.value.reason == "lease_lost"
    assert await ledger.syncs.find("default", "int_1") is None
    assert await ledger.inbox.take_new(["default"], 10) == [delivery]


async def test_record_explains_and_done_ends(ledger: Ledger) -> None:
    await ledger.inbox.accept(a_webhook())
    [delivery] = await ledger.inbox.take_new(["default"], 1)
    call = a_webhook(source="call", state="done", digest=None, body='{"quality_score": 4}')
    await store(ledger, a_sync(), done=[delivery.id], record=[call])
    assert await ledger.inbox.take_new(["default"], 1) == []
    assert [(one.source, one.state, one.body) for one in await ledger.inbox.received("default", "int_1")] == [
        ("webhook", "done", delivery.body),
        ("call", "done", call.body),
    ]


async def test_lists_page_over_equal_times(ledger: Ledger) -> None:
    await store(ledger, *(a_sync(f"int_{at}", first_received_at=NOW + at // 4) for at in range(10)))
    seen: list[str] = []
    after: tuple[int, str] | None = None
    while page := await ledger.syncs.listed("default", ListFilter(), limit=3, after=after):
        seen += [one.interview_id for one in page]
        after = (page[-1].first_received_at, page[-1].interview_id)
    assert seen == [f"int_{at}" for at in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)]


async def test_lists_are_filtered(ledger: Ledger) -> None:
    await store(
        ledger,
        a_sync("int_1"),
        a_sync("int_2", status=SyncStatus.SKIPPED, reason="anonymous", first_received_at=NOW + 1),
        a_sync("int_3", status=SyncStatus.SKIPPED, reason="suppressed", first_received_at=NOW + 2),
        a_sync("int_4", connection="other"),
    )

    async def ids(**where: Any) -> list[str]:
        found = await ledger.syncs.listed("default", ListFilter(**where), limit=10, after=None)
        return [one.interview_id for one in found]

    assert await ids(status="skipped") == ["int_3", "int_2"]
    assert await ids(reason="anonymous") == ["int_2"]
    assert await ids(since=NOW + 1) == ["int_3", "int_2"]
    assert await ids(until=NOW + 1) == ["int_1"]
    assert await ids(status=SyncStatus.PENDING) == ["int_1"]


async def test_reads_are_due_in_order(ledger: Ledger) -> None:
    await store(
        ledger,
        a_sync("int_1", stage=Stage.READ, due=NOW + 5),
        a_sync("int_2", stage=Stage.READ, due=NOW),
        a_sync("int_3", stage=Stage.READ, due=NOW, connection="other"),
        a_sync("int_4", stage=Stage.SEND, due=NOW - 9),
    )
    assert [one.interview_id for one in await ledger.syncs.due_reads(["default"], NOW, 9)] == ["int_2"]
    assert [one.interview_id for one in await ledger.syncs.due_reads(["default", "other"], NOW + 5, 9)][
        -1
    ] == "int_1"
    assert await ledger.syncs.next_due(Stage.READ, ["default"]) == NOW
    assert await ledger.syncs.next_due(Stage.HOLD, ["default"]) is None
    assert await ledger.syncs.next_due(Stage.READ, []) is None
    assert await ledger.syncs.waiting(Stage.READ, ["default", "other"]) == 3


async def test_a_run_tells_how_far_it_is(ledger: Ledger) -> None:
    await a_run(ledger, "run_1", [f"int_{i}" for i in (1, 2, 3, 4, 5, 5)])
    await store(
        ledger,
        a_sync("int_1", status=SyncStatus.SYNCED, stage=None),
        a_sync("int_2", status=SyncStatus.SKIPPED, reason="anonymous", stage=None),
        a_sync("int_3", status=SyncStatus.FAILED, reason="invalid_user_id", stage=None),
        a_sync("int_4", stage=Stage.READ),
        a_sync("int_4", connection="other", status=SyncStatus.SYNCED, stage=None),
    )
    progress = await ledger.runs.progress("run_1")
    assert progress is not None
    assert (progress.total, progress.pending, progress.synced, progress.unread) == (5, 2, 1, 1)
    assert (progress.skipped, progress.failed) == ({"anonymous": 1}, {"invalid_user_id": 1})
    assert (progress.connection, progress.operation, progress.created_at) == (
        "default",
        "backfill_interviews",
        NOW,
    )
    assert await ledger.runs.progress("run_2") is None


async def test_a_backfill_is_held_until_each_of_it_was_read_once(ledger: Ledger) -> None:
    for run_id, reads in (("run_1", 0), ("run_2", 1)):
        await a_run(ledger, run_id, [])
        await store(
            ledger,
            a_sync(f"held_{run_id}", run_id=run_id, backfill=True, stage=Stage.HOLD),
            a_sync(f"read_{run_id}", run_id=run_id, backfill=True, stage=Stage.READ, reads=reads),
        )
    assert await ledger.runs.release_backfills(NOW + 5) == 1
    assert await ledger.runs.release_backfills(NOW + 5) == 0
    released = await ledger.syncs.find("default", "held_run_2")
    assert released is not None
    assert (released.stage, released.due) == (Stage.SEND, NOW + 5)
    assert await ledger.syncs.waiting(Stage.HOLD, ["default"]) == 1


async def test_two_thousand_rows_in_one_batch(ledger: Ledger) -> None:
    body = "x" * 1_000
    ids = [f"int_{number}" for number in range(2_000)]
    await a_run(ledger, "run_1", ids)
    await store(ledger, *map(a_sync, ids), record=[a_webhook(one, body=body, digest=one) for one in ids])
    await store(ledger, *(a_sync(one, status=SyncStatus.SYNCED, stage=None) for one in ids))
    assert await ledger.counters.totals("default") == {("synced", ""): 2_000}
    progress = await ledger.runs.progress("run_1")
    assert progress is not None
    assert (progress.total, progress.synced) == (2_000, 2_000)


async def test_a_mebibyte_of_odd_text_in_one_row(ledger: Ledger) -> None:
    event = '"\\é\U0001f600' * 175_000
    await store(ledger, a_sync(event=event, user_id="a\0b\udfff"))
    found = await ledger.syncs.find("default", "int_1")
    assert found is not None
    assert found.event == event
    assert found.user_id == "a\ufffdb\ufffd"
