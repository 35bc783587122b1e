"""Runs are stored in several transactions; a crash between them begins nothing and leaves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from connector.domain.people.same_person import Member
from connector.domain.results.interview import Stage
from connector.domain.results.sync import RunItem
from connector.ledger.db import bulk
from connector.ledger.ledger import Ledger
from connector.ledger.results import runs
from connector.ledger.results.runs import CHUNK, Runs
from tests.ledger.erasure.desk import RULES
from tests.support.fakes import NOW, a_sync

pytestmark = pytest.mark.contract

ITEMS = [RunItem(None, f"person-{n}@example.com", f"int-{n}") for n in range(3 * CHUNK)]


async def create(ledger: Ledger, run_id: str = "run_1") -> None:
    await ledger.runs.create(run_id, "default", "backfill_interviews", "backfill", ITEMS, NOW)


async def test_other_writes_get_in_between_and_the_worker_begins_at_the_end(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_PORTION", 0)
    stored: list[int] = []
    store = Runs._store

    async def watched(self: Runs, row: Any, chunks: Any) -> None:
        assert await ledger.runs.next_chunk(["default"], ()) is None
        stored.append(len(chunks))
        await store(self, row, chunks)

    monkeypatch.setattr(Runs, "_store", watched)
    await create(ledger)
    assert stored == [1, 1, 1]
    progress = await ledger.runs.progress("run_1")
    assert progress is not None
    assert (progress.total, progress.pending, progress.unread) == (3 * CHUNK,) * 3


async def test_a_run_that_a_crash_cut_never_begins_and_goes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_PORTION", 0)
    store = Runs._store

    async def cut(self: Runs, row: Any, chunks: Any) -> None:
        if row["total"]:
            raise KeyboardInterrupt
        await store(self, row, chunks)

    with monkeypatch.context() as patched:
        patched.setattr(Runs, "_store", cut)
        with pytest.raises(KeyboardInterrupt):
            await create(ledger, "run_cut")
    await create(ledger)
    assert await ledger.runs.next_chunk(["default"], [f"run_1/{n}" for n in range(3)]) is None
    await ledger.retention.prune(NOW, NOW + runs._CUT_AFTER + 1)
    assert await ledger.runs.progress("run_cut") is None
    assert await ledger.db.read(lambda c: c.exec_driver_sql(LEFT).scalar_one()) == 3


LEFT = "SELECT count(*) FROM run_source"


async def test_held_interviews_wait_for_the_chunks_of_their_run(ledger: Ledger) -> None:
    await create(ledger)
    held = a_sync("int-0")._replace(stage=Stage.HOLD, run_id="run_1", backfill=True)
    await ledger.syncs.revise([("default", "int-0")], lambda *_: [held])
    released = []
    while chunk := await ledger.runs.next_chunk(["default"], ()):
        await ledger.runs.cover(None, chunk)
        released.append(await ledger.runs.release_backfills(NOW))
    assert released == [0, 0, 1]


async def test_an_erased_person_is_taken_out_of_what_waits(ledger: Ledger) -> None:
    await create(ledger)
    await ledger.erasures.begin("run_2", "default", Member(None, "person-7@example.com", None), RULES, NOW)
    left: list[str] = []
    while chunk := await ledger.runs.next_chunk(["default"], ()):
        left += [item.interview_id for item in chunk.items]
        await ledger.runs.cover(None, chunk)
    assert len(left) == 3 * CHUNK - 1
    assert "int-7" not in left
    progress = await ledger.runs.progress("run_1")
    assert progress is not None
    assert progress.total == 3 * CHUNK - 1
