"""What the ledger promises about leases, pauses, the rate limit, idempotency and diagnostics, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from heapq import heappop, heappush
from itertools import count, pairwise

import pytest

from connector.errors import Conflict
from connector.ledger.ledger import Ledger
from connector.ledger.runtime.rate_limit import RESERVED
from tests.support.fakes import NOW

pytestmark = pytest.mark.contract

LIMIT = 60
INTERVAL = -(-61_000 // LIMIT)
DAY = 86_400_000


async def test_a_lane_has_one_owner(ledger: Ledger, other_ledger: Ledger) -> None:
    tries = [
        by.leases.acquire("lane", f"owner {at}", NOW, 1_000)
        for at, by in enumerate([ledger, other_ledger] * 10)
    ]
    owners = [lease for lease in await asyncio.gather(*tries) if lease is not None]
    assert len(owners) == 1
    assert (owners[0].until, owners[0].paced_until) == (NOW + 1_000, 0)


async def test_a_lease_ends_by_time_by_release_and_not_before(ledger: Ledger) -> None:
    first = await ledger.leases.acquire("lane", "me", NOW, 1_000)
    assert first is not None
    assert await ledger.leases.acquire("lane", "you", NOW + 1_000, 1_000) is None
    renewed = await ledger.leases.renew(first, NOW + 900, 1_000)
    assert renewed is not None
    assert await ledger.leases.acquire("lane", "you", NOW + 1_500, 1_000) is None
    second = await ledger.leases.acquire("lane", "you", NOW + 1_901, 1_000)
    assert second is not None
    assert second.token > first.token
    assert await ledger.leases.renew(renewed, NOW + 1_902, 1_000) is None
    await ledger.leases.release(renewed)
    assert await ledger.leases.acquire("lane", "me", NOW + 1_903, 1_000) is None
    await ledger.leases.release(second)
    assert await ledger.leases.acquire("lane", "me", NOW + 1_904, 1_000) is not None


async def test_the_fence_keeps_the_former_owner_out(ledger: Ledger) -> None:
    old = await ledger.leases.acquire("lane", "me", NOW, 1_000)
    new = await ledger.leases.acquire("lane", "you", NOW + 1_001, 1_000)
    assert old is not None
    assert new is not None
    with pytest.raises(Conflict):
        await ledger.sending.settle(old, [], NOW, NOW + 5)
    await ledger.sending.settle(new, [], NOW, NOW + 7)
    await ledger.leases.release(new)
    last = await ledger.leases.acquire("lane", "me", NOW + 2_000, 1_000)
    assert last is not None
    assert last.paced_until == NOW + 7


async def test_a_lease_from_before_the_clock_was_set_back_ends(ledger: Ledger) -> None:
    assert await ledger.leases.acquire("lane", "me", NOW + DAY, 30_000)
    assert await ledger.leases.acquire("lane", "you", NOW, 30_000)


async def test_pauses(ledger: Ledger) -> None:
    assert await ledger.leases.pauses() == []
    await ledger.leases.pause("koji:1", NOW + 5, "koji_key", "The key was refused.")
    [pause] = await ledger.leases.pauses()
    assert (pause.lane, pause.until, pause.code, pause.message) == (
        "koji:1",
        NOW + 5,
        "koji_key",
        "The key was refused.",
    )
    assert await ledger.leases.resume("koji:1")
    assert not await ledger.leases.resume("koji:1")
    assert not await ledger.leases.resume("koji:2")
    assert await ledger.leases.pauses() == []


def most_within(times: list[int], window: int) -> int:
    return max(sum(start <= at < start + window for at in times) for start in times)


async def calls(ledger: Ledger, takers: list[bool]) -> dict[bool, list[int]]:
    """Let takers (interactive or not) ask as often as they may for three minutes; return when each was granted."""
    granted: dict[bool, list[int]] = {True: [], False: []}
    turns = [(NOW, turn, interactive) for turn, interactive in enumerate(takers)]
    for turn in count(len(takers)):
        now, _, interactive = heappop(turns)
        if now >= NOW + 180_000:
            break
        wait = await ledger.rate_limit.take("koji:1", now, INTERVAL, interactive=interactive)
        if not wait:
            granted[interactive].append(now)
        heappush(turns, (now + (wait or 1), turn, interactive))
    return granted


@pytest.mark.parametrize("takers", [[False] * 3, [True] * 3, [True, False, True, False]])
async def test_no_minute_ever_exceeds_the_limit(ledger: Ledger, takers: list[bool]) -> None:
    granted = await calls(ledger, takers)
    everything = sorted(granted[True] + granted[False])
    assert all(after - before >= INTERVAL for before, after in pairwise(everything))
    assert most_within(everything, 60_000) <= LIMIT
    if granted[True]:
        assert most_within(granted[True], 60_000) <= LIMIT // 2
        assert most_within(granted[True], 60_000) >= LIMIT // 2 - 2
    if False in takers:
        assert most_within(everything, 60_000) >= LIMIT - 2


async def test_two_processes_share_one_budget(ledger: Ledger, other_ledger: Ledger) -> None:
    asks = [
        by.rate_limit.take("koji:1", NOW, INTERVAL, interactive=False)
        for by in (ledger, other_ledger)
        for _ in range(20)
    ]
    waits = await asyncio.gather(*asks)
    assert sorted(waits)[:2] == [0, INTERVAL]
    assert await ledger.rate_limit.take("koji:2", NOW, INTERVAL, interactive=False) == 0


async def test_clocks_that_differ_do_not_open_the_budget(ledger: Ledger, other_ledger: Ledger) -> None:
    ahead = NOW + 20_000
    assert await ledger.rate_limit.take("koji:1", ahead, INTERVAL, interactive=False) == 0
    assert await other_ledger.rate_limit.take("koji:1", NOW, INTERVAL, interactive=False) == 20_000 + INTERVAL


async def test_a_clock_that_was_set_back_does_not_close_the_budget(ledger: Ledger) -> None:
    assert await ledger.rate_limit.take("koji:1", NOW + DAY, INTERVAL, interactive=True) == 0
    assert await ledger.rate_limit.take("koji:1", NOW, INTERVAL, interactive=True) == 0
    assert await ledger.rate_limit.take("koji:1", NOW, INTERVAL, interactive=True) == 2 * INTERVAL


async def test_an_answer_is_stored_once_and_given_again(ledger: Ledger) -> None:
    first = await ledger.idempotency.claim("scope", "key", "digest", NOW)
    assert first.state == "new"
    assert (await ledger.idempotency.claim("scope", "key", "digest", NOW + 60_000)).state == "running"
    assert (await ledger.idempotency.claim("scope", "key", "another", NOW)).state == "mismatch"
    assert (await ledger.idempotency.claim("elsewhere", "key", "another", NOW)).state == "new"
    await ledger.idempotency.store("scope", "key", first.token, 202, '{"a": "\\u0000 é"}', NOW + 5)
    stored = await ledger.idempotency.claim("scope", "key", "digest", NOW + 5 + 7 * DAY)
    assert (stored.state, stored.status, stored.body) == ("stored", 202, '{"a": "\\u0000 é"}')
    assert (await ledger.idempotency.claim("scope", "key", "another", NOW + 6)).state == "mismatch"
    await ledger.idempotency.store("scope", "key", None, 500, "lost", NOW)
    assert (await ledger.idempotency.claim("scope", "key", "digest", NOW + 6)).status == 202
    assert (await ledger.idempotency.claim("scope", "key", "another", NOW + 6 + 7 * DAY)).state == "new"


async def test_a_claim_ends_with_its_lease(ledger: Ledger) -> None:
    dead = await ledger.idempotency.claim("scope", "key", "digest", NOW)
    heir = await ledger.idempotency.claim("scope", "key", "digest", NOW + 60_001)
    assert heir.state == "new"
    await ledger.idempotency.store("scope", "key", dead.token, 200, "of the dead", NOW)
    await ledger.idempotency.release("scope", "key", dead.token)
    assert (await ledger.idempotency.claim("scope", "key", "digest", NOW + 60_002)).state == "running"
    await ledger.idempotency.release("scope", "key", heir.token)
    assert (await ledger.idempotency.claim("scope", "key", "another", NOW + 60_003)).state == "new"


async def test_of_many_who_claim_one_key_one_works(ledger: Ledger, other_ledger: Ledger) -> None:
    claims = [
        by.idempotency.claim("scope", "\0key", "digest", NOW)
        for by in (ledger, other_ledger)
        for _ in range(20)
    ]
    states = [claim.state for claim in await asyncio.gather(*claims)]
    assert sorted(set(states)) == ["new", "running"]
    assert states.count("new") == 1


async def test_only_the_newest_notes_stay(ledger: Ledger) -> None:
    for at in range(8):
        await ledger.diagnostics.add("", "refused", {"nr": at, "words": "a\0b"}, NOW + at, 5)
    await ledger.diagnostics.add("", "ping", {}, NOW, 1)
    await ledger.diagnostics.add("other", "refused", {}, NOW, 5)
    assert [note.detail["nr"] for note in await ledger.diagnostics.since("", "refused", NOW)] == [
        7,
        6,
        5,
        4,
        3,
    ]
    assert [note.at for note in await ledger.diagnostics.since("", "refused", NOW + 6)] == [NOW + 7, NOW + 6]
    assert len(await ledger.diagnostics.since("", "ping", NOW)) == 1


async def test_a_waiting_interactive_call_gets_the_next_one(ledger: Ledger, other_ledger: Ledger) -> None:
    """The launch of another process asks first at every turn, and as often as it may."""

    def take(by: Ledger, now: int, *, interactive: bool) -> Awaitable[int]:
        return by.rate_limit.take("koji:1", now, INTERVAL, interactive=interactive)

    assert await take(other_ledger, NOW, interactive=False) == 0
    now = NOW + 10
    for _ in range(3):
        wait = await take(ledger, now, interactive=True)
        assert 0 < wait <= 2 * INTERVAL
        # every second call is the launch's
        if wait > INTERVAL:
            assert await take(other_ledger, now + wait - INTERVAL, interactive=False) == 0
        now += wait
        assert 0 < await take(other_ledger, now, interactive=False) <= RESERVED
        assert await take(ledger, now + 40, interactive=True) == 0
        now += 50


async def test_an_interactive_call_that_is_not_made_is_reserved_for_half_a_second(ledger: Ledger) -> None:
    take = partial(ledger.rate_limit.take, "koji:1")
    assert await take(NOW, INTERVAL, interactive=False) == 0
    assert await take(NOW, INTERVAL, interactive=True) == INTERVAL
    assert await take(NOW + INTERVAL, INTERVAL, interactive=False) == RESERVED
    assert await take(NOW + INTERVAL + RESERVED, INTERVAL, interactive=False) == 0
