"""A backfill that a crash cut before its run was stored strands no interview."""

from __future__ import annotations

import pytest

from connector.domain.results.interview import Stage
from connector.ledger.ledger import Ledger
from connector.ledger.results.runs import ORPHANED_AFTER
from tests.support.fakes import NOW, a_sync

pytestmark = pytest.mark.contract


async def test_held_interviews_without_a_run_go_after_a_while(ledger: Ledger) -> None:
    cut = a_sync(interview_id="int-1")._replace(
        stage=Stage.HOLD, run_id="run_cut", backfill=True, updated_at=NOW
    )
    await ledger.syncs.revise([("default", "int-1")], lambda *_: [cut])
    assert await ledger.runs.release_backfills(NOW + ORPHANED_AFTER) == 0
    assert await ledger.runs.release_backfills(NOW + ORPHANED_AFTER + 1) == 1


async def test_held_interviews_of_a_stored_run_wait_for_it_however_long(ledger: Ledger) -> None:
    held = a_sync(interview_id="int-1")._replace(
        stage=Stage.HOLD, run_id="run_1", backfill=True, updated_at=NOW
    )
    unread = a_sync(interview_id="int-2")._replace(stage=Stage.READ, run_id="run_1", backfill=True, due=NOW)
    await ledger.syncs.revise([("default", "int-1"), ("default", "int-2")], lambda *_: [held, unread])
    await ledger.runs.create("run_1", "default", "backfill_interviews", ["int-1", "int-2"], NOW)
    assert await ledger.runs.release_backfills(NOW + 10 * ORPHANED_AFTER) == 0
