"""A lane that another process owns is asked for now and then, whatever wakes this one."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from connector.clock import SystemClock
from connector.ledger.runtime.leases import Leases
from connector.workers.base import Worker
from connector.workers.runner import Runner

pytestmark = pytest.mark.unit


class OwnedElsewhere:
    """Leases that another process holds."""

    def __init__(self) -> None:
        self.asked = 0
        self.announced: list[list[str]] = []

    async def acquire(self, *_: Any) -> None:
        self.asked += 1

    def announce(self, kinds: list[str]) -> None:
        self.announced.append(kinds)


class Idle:
    name = "koji:somebody"


async def test_a_wake_does_not_make_it_ask_without_rest() -> None:
    leases = OwnedElsewhere()
    runner = Runner(cast("Leases", leases), SystemClock(), asyncio.Event())
    runner.start([cast("Worker", Idle())])
    for _ in range(3):
        runner.wake("koji")
        await asyncio.sleep(0.05)
    await runner.stop()
    assert 1 < leases.asked < 10


async def test_it_tells_other_processes_only_of_lanes_that_they_may_have() -> None:
    leases = OwnedElsewhere()
    runner = Runner(cast("Leases", leases), SystemClock(), asyncio.Event())
    runner.start([cast("Worker", Idle())])
    runner.wake("koji", "intake")
    runner.wake()
    for lane in runner._lanes:
        lane.is_owned = True
    runner.wake("koji")
    runner.wake()
    runner.wake("koji", "intake")
    assert leases.announced == [["koji", "intake"], ["all"], ["intake"]]
    await runner.stop()


async def test_a_notice_wakes_the_owner_of_a_kind_and_who_waits_for_a_free_lane() -> None:
    runner = Runner(cast("Leases", OwnedElsewhere()), SystemClock(), asyncio.Event())
    runner.start([cast("Worker", Idle())])
    [lane] = runner._lanes
    for is_owned, kinds, woken in (
        (True, ["intake", "koji"], True),
        (True, ["intake", "free"], False),
        (True, ["all"], True),
        (False, ["koji"], False),
        (False, ["free"], True),
        (False, ["all"], True),
    ):
        lane.is_owned = is_owned
        lane.wake.clear()
        runner.heard(kinds)
        assert lane.wake.is_set() is woken, (is_owned, kinds)
    await runner.stop()
