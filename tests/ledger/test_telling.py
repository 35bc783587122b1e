"""What the owner is told comes from the ledger: pauses once each, alerts until they are sent, backlog and week."""

from __future__ import annotations

import asyncio

import pytest

from connector.domain.events.event import EventType
from connector.domain.lease import Lease, Pause
from connector.errors import Conflict
from connector.ledger.ledger import Ledger
from connector.ledger.runtime.connection_pauses import UNREACHABLE_FOR
from tests.support.fakes import NOW, a_webhook

pytestmark = pytest.mark.contract

LANE, NAMES = "koji:1", ["default", "second"]
PAUSED, RESUMED = EventType.CONNECTION_PAUSED, EventType.CONNECTION_RESUMED


async def begin(ledger: Ledger, code: str, now: int = NOW) -> None:
    await ledger.connection_pauses.begin(NAMES, Pause(LANE, now + 60_000, code, "Words."), now)


async def told(ledger: Ledger, kind: EventType) -> list[tuple[str, str]]:
    found = await ledger.hooks.events(NAMES, kind, 100)
    return sorted((one.connection, one.payload["reason"]) for one in found)


async def test_processes_that_pause_and_end_at_once_tell_once(ledger: Ledger) -> None:
    await asyncio.gather(*(begin(ledger, "koji_key") for _ in range(5)))
    assert await told(ledger, PAUSED) == [("default", "koji_key"), ("second", "koji_key")]
    await asyncio.gather(*(ledger.connection_pauses.end(LANE, NAMES, NOW) for _ in range(5)))
    assert await told(ledger, RESUMED) == [("default", "koji_key"), ("second", "koji_key")]
    assert await ledger.connection_pauses.listed(NAMES) == []
    assert await ledger.leases.pauses() == []


async def test_a_refused_key_outlives_an_outage_and_another_reason_is_told(ledger: Ledger) -> None:
    await begin(ledger, "koji_key")
    await begin(ledger, "koji_unreachable", NOW + UNREACHABLE_FOR)
    assert {one.reason for one in await ledger.connection_pauses.listed(NAMES)} == {"koji_key"}
    await begin(ledger, "koji_credits", NOW + UNREACHABLE_FOR)
    assert {one.reason for one in await ledger.connection_pauses.listed(NAMES)} == {"koji_credits"}
    assert len(await told(ledger, PAUSED)) == 4


async def test_an_outage_is_told_once_it_lasts(ledger: Ledger) -> None:
    for late in (0, UNREACHABLE_FOR - 1):
        await begin(ledger, "koji_unreachable", NOW + late)
        assert await told(ledger, PAUSED) == []
    for late in (0, 1, 2):
        await begin(ledger, "koji_unreachable", NOW + UNREACHABLE_FOR + late)
    assert len(await told(ledger, PAUSED)) == 2


async def test_an_alert_is_due_until_the_owner_of_the_lane_has_sent_it(ledger: Ledger) -> None:
    lease = await ledger.leases.acquire("alerts", "me", NOW, 10)
    assert lease is not None
    await begin(ledger, "koji_key")
    first, second = await ledger.alerts.due([])
    assert [one.number for one in await ledger.alerts.due([str(first.number)])] == [second.number]
    await ledger.alerts.settle(lease, [first.number], NOW + 5)
    assert await ledger.alerts.due([]) == [second]
    later = await ledger.leases.acquire("alerts", "another", NOW + 20, 10)
    assert later is not None
    assert later.paced_until == NOW + 5
    with pytest.raises(Conflict):
        await ledger.alerts.settle(lease, [second.number], NOW)
    assert await ledger.alerts.due([]) == [second]


async def test_what_waits(ledger: Ledger) -> None:
    await ledger.inbox.accept(a_webhook(received_at=NOW - 500))
    await ledger.inbox.accept(a_webhook(received_at=NOW, digest="another"))
    found = {one.lane: (one.depth, one.since) for one in await ledger.backlog.of_lanes()}
    assert found.pop("intake") == (2, NOW - 500)
    assert set(found.values()) == {(0, None)}


async def test_a_week_without_anything(ledger: Ledger) -> None:
    lease = Lease("digest", "me", 1, NOW, 0)
    week = await ledger.digest.of_week("default", LANE, NOW - 7 * 86_400_000, NOW)
    assert (dict(week.interviews), list(week.themes), week.invited, week.completed, week.credits) == (
        {},
        [],
        0,
        0,
        0,
    )
    with pytest.raises(Conflict):
        await ledger.digest.sent(lease, NOW)
