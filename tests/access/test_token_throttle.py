"""Addresses that go on failing wait longer and longer, and the memory of them has a bound."""

from __future__ import annotations

import asyncio

import pytest

from connector.errors import TooManyFailures
from connector.http import token_throttle
from connector.http.token_throttle import Failures
from tests.support.fakes import NOW, ManualClock

pytestmark = pytest.mark.unit


class StandingClock(ManualClock):
    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class StuckClock(ManualClock):
    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


async def test_ten_a_minute_are_free_then_each_waits_longer_up_to_two_seconds() -> None:
    counted, clock = Failures(), StandingClock()
    for _ in range(10):
        await counted.add("192.0.2.1", clock)
    assert clock.slept == []
    for _ in range(7):
        await counted.add("192.0.2.1", clock)
    assert clock.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    await counted.add("192.0.2.2", clock)
    assert len(clock.slept) == 7
    clock.advance(60)
    await counted.add("192.0.2.1", clock)
    assert len(clock.slept) == 7


async def test_a_clock_that_was_set_back_begins_anew() -> None:
    counted, clock = Failures(), StandingClock()
    for _ in range(10):
        await counted.add("192.0.2.1", clock)
    clock.time = NOW - 1
    await counted.add("192.0.2.1", clock)
    assert clock.slept == []


async def test_one_network_of_ipv6_is_one_address() -> None:
    counted, clock = Failures(), StandingClock()
    for number in range(11):
        await counted.add(f"2001:db8::{number:x}", clock)
    assert clock.slept == [0.1]
    await counted.add("2001:db8:0:1::1", clock)
    for number in range(11):
        await counted.add(f"::ffff:192.0.2.{number}", clock)
    assert clock.slept == [0.1]


async def test_beyond_a_hundred_held_back_nobody_waits() -> None:
    counted, clock = Failures(), StuckClock()
    for _ in range(10):
        await counted.add("192.0.2.1", clock)
    held = [asyncio.create_task(counted.add("192.0.2.1", clock)) for _ in range(token_throttle.MAX_DELAYED)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyFailures) as refused:
        await counted.add("192.0.2.1", clock)
    assert refused.value.retry_after
    for one in held:
        one.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    await counted.add("192.0.2.1", StandingClock())


async def test_of_many_addresses_the_one_silent_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_throttle, "MAX_ADDRESSES", 3)
    counted, clock = Failures(), StandingClock()
    for number in range(50):
        await counted.add(f"192.0.2.{number}", clock)
    assert len(counted._counted) == 3
