"""Callbacks are owed until they end, on both databases."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

import pytest

from connector.domain.events.callback import Callback
from connector.domain.lease import Lease
from connector.errors import Conflict
from connector.ledger.events.callbacks import OF_CALLER, OF_HOST
from connector.ledger.ledger import Ledger
from tests.support.fakes import NOW

pytestmark = pytest.mark.contract


def a_callback(callback_id: str = "cb_1", due: int = NOW) -> Callback:
    return Callback(
        id=callback_id,
        connection="default",
        operation="replay_syncs",
        answer="{}",
        target_url="https://hooks.example.com/x",
        scopes="read send",
        created_at=NOW,
        due=due,
    )


async def lease_of(ledger: Ledger, owner: str = "one", now: int = NOW) -> Lease:
    lease = await ledger.leases.acquire("callbacks", owner, now, 30_000)
    assert lease is not None
    return lease


async def due(ledger: Ledger, now: int) -> list[Callback]:
    """Return the callbacks that are due, with their addresses opened."""
    found = await ledger.callbacks.due(now, 10)
    return [one._replace(target_url=ledger.unseal(one.target_url), host=None) for one in found]


async def test_what_is_due_comes_in_order_and_only_then(ledger: Ledger) -> None:
    assert await ledger.callbacks.next_due() is None
    for callback_id, due in (("cb_late", NOW + 9), ("cb_2", NOW + 1), ("cb_1", NOW)):
        await ledger.callbacks.add(a_callback(callback_id, due))
    assert await ledger.callbacks.next_due() == NOW
    assert [one.id for one in await ledger.callbacks.due(NOW + 1, 10)] == ["cb_1", "cb_2"]
    assert [one.id for one in await ledger.callbacks.due(NOW + 9, 1)] == ["cb_1"]


async def test_the_same_one_again_changes_nothing(ledger: Ledger) -> None:
    lease = await lease_of(ledger)
    await ledger.callbacks.add(a_callback())
    tried = a_callback()._replace(due=NOW + 5, ready_at=NOW, tries=1)
    await ledger.callbacks.later(lease, tried)
    await ledger.callbacks.add(a_callback())
    assert await due(ledger, NOW + 5) == [tried]


async def test_one_that_ended_is_gone(ledger: Ledger) -> None:
    lease = await lease_of(ledger)
    await ledger.callbacks.add(a_callback())
    await ledger.callbacks.end(lease, "cb_1")
    assert await ledger.callbacks.next_due() is None


async def test_an_owner_that_slept_changes_nothing(ledger: Ledger) -> None:
    old = await lease_of(ledger)
    await ledger.callbacks.add(a_callback())
    await lease_of(ledger, "two", NOW + 31_000)
    with pytest.raises(Conflict):
        await ledger.callbacks.end(old, "cb_1")
    with pytest.raises(Conflict):
        await ledger.callbacks.later(old, a_callback(due=NOW + 5))
    assert await due(ledger, NOW) == [a_callback()]


async def test_neither_a_host_nor_a_caller_takes_the_turn_of_others(ledger: Ledger) -> None:
    async def owed(caller: str, url: str, n: int, at: int) -> None:
        for i in range(n):
            one = a_callback(f"{caller} {url} {i}", at)._replace(token=caller, target_url=url)
            await ledger.callbacks.add(one)

    for host in range(6):
        for url in (f"https://slow-{host}.example.com/a", f"https://SLOW-{host}.example.com:443/b"):
            await owed("robot", url, 5, NOW)
    await owed("zapier", "https://slow-0.example.com/a", 1, NOW + 1)
    await owed("zapier", "https://hooks.example.com/x", 1, NOW + 2)
    found = await ledger.callbacks.due(NOW + 2, 50)
    of_robot = Counter(
        urlsplit(ledger.unseal(one.target_url)).hostname for one in found if one.token == "robot"
    )
    assert (sum(of_robot.values()), max(of_robot.values())) == (OF_CALLER, OF_HOST)
    assert len(found) == OF_CALLER + 2
    assert [one.token for one in await ledger.callbacks.due(NOW + 2, 4)] == ["robot", "zapier"] * 2
