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

    async def acquire(self, *_: Any) -> None:
        self.asked += 1


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
