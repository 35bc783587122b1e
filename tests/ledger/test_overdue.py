"""Due times that were set while the clock was ahead."""

from __future__ import annotations

import pytest

from connector.domain.events.event import EventType, Hook
from connector.domain.results.interview import Stage, SyncStatus
from connector.ledger.ledger import Ledger
from tests.ledger.test_callbacks import a_callback
from tests.support.fakes import NOW, a_settlement, a_sync

pytestmark = pytest.mark.contract

HOUR = 3_600_000
AHEAD = NOW + 400 * 24 * HOUR


async def stored(ledger: Ledger, interview_id: str, stage: Stage, due: int) -> None:
    sync = a_sync(interview_id, stage=stage, due=due)
    await ledger.syncs.revise([("default", interview_id)], lambda *_: [sync])


@pytest.mark.parametrize("stage", [Stage.READ, Stage.SEND])
async def test_an_interview_put_off_too_far_is_due(ledger: Ledger, stage: Stage) -> None:
    await stored(ledger, "far", stage, AHEAD)
    await stored(ledger, "near", stage, NOW + HOUR)
    assert await ledger.overdue.bring_back(NOW) == 1
    assert await ledger.overdue.bring_back(NOW) == 0
    due = [(await ledger.syncs.find("default", name)) for name in ("far", "near")]
    assert [one and one.due for one in due] == [NOW, NOW + HOUR]


async def test_a_backfill_that_is_held_stays_held(ledger: Ledger) -> None:
    await stored(ledger, "held", Stage.HOLD, AHEAD)
    assert await ledger.overdue.bring_back(NOW) == 0


async def test_hooks_and_callbacks_have_longer_steps_of_their_own(ledger: Ledger) -> None:
    await ledger.callbacks.add(a_callback("far", AHEAD))
    await ledger.callbacks.add(a_callback("near", NOW + 4 * HOUR))
    await ledger.hooks.subscribe(
        Hook("hook-1", "default", EventType.INTERVIEW_SYNCED, "https://example.com", NOW), "whsec_c2VjcmV0"
    )
    sync = a_sync("int_1", stage=Stage.SEND, due=AHEAD)
    await ledger.syncs.revise([("default", "int_1")], lambda *_: [sync])
    lease = await ledger.leases.acquire("amplitude", "me", AHEAD, 30_000)
    assert lease is not None
    await ledger.sending.settle(lease, [a_settlement(sync, SyncStatus.SYNCED)], AHEAD, 0)
    assert await ledger.hooks.next_due() is not None
    assert await ledger.overdue.bring_back(NOW) >= 1
    assert await ledger.callbacks.next_due() == NOW
    assert (await ledger.hooks.next_due() or 0) <= NOW + 4 * HOUR
