"""What the ledger tells of pauses that end by themselves: each running launch hears once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.domain.events.event import EventType
from connector.domain.launches.launch import Launch, LaunchOptions, LaunchStatus
from connector.domain.lease import Lease, Pause
from connector.ledger.ledger import Ledger

pytestmark = pytest.mark.contract

NOW = 1_790_000_000_000
MINUTE = 60_000
DAY = 1440 * MINUTE
LANE = "koji:1"


async def a_launch(ledger: Ledger, name: str, *, connection: str = "default", **told: Any) -> str:
    values: dict[str, Any] = {
        "status": LaunchStatus.RUNNING,
        "created_at": NOW,
        "options": LaunchOptions(max_interviews=10),
        "goes_on": True,
        "waiting": 1,
        **told,
    }
    await ledger.planning.create(Launch(id=name, connection=connection, **values))
    return name


async def away(ledger: Ledger, began: int, now: int | None = None, *, code: str = "koji_unreachable") -> None:
    """Let the lane find Koji away, since `began`, now or at another time."""
    now = began if now is None else now
    rest = Pause(LANE, now + MINUTE, code, "Koji did not answer.")
    await ledger.launch_pauses.await_koji(["default"], ["default"], rest, began, now)


async def pause_events(ledger: Ledger) -> list[tuple[str, str, int]]:
    """Return launch, reason and resuming time of what was told, oldest first."""
    events = await ledger.hooks.events(["default", "other"], EventType.LAUNCH_PAUSED, 100)
    return [(one.subject, one.payload["pause_reason"], one.payload["resumes_at"]) for one in reversed(events)]


@pytest.fixture
async def lease(ledger: Ledger) -> Lease:
    found = await ledger.leases.acquire(LANE, "me", NOW, DAY * 10)
    assert found is not None
    return found


async def test_a_koji_that_is_away_is_told_once_to_each_running_launch(ledger: Ledger) -> None:
    await a_launch(ledger, "one")
    await a_launch(ledger, "two", standing=True, waiting=0)
    await a_launch(ledger, "elsewhere", connection="other")
    for status in set(LaunchStatus) - {LaunchStatus.RUNNING}:
        await a_launch(ledger, f"is-{status}", status=status)
    for minute in (0, 1, 30, 3000):
        await away(ledger, NOW, NOW + minute * MINUTE)
    assert await pause_events(ledger) == [
        ("one", "koji_unreachable", NOW + MINUTE),
        ("two", "koji_unreachable", NOW + MINUTE),
    ]
    (pause,) = await ledger.leases.pauses()
    assert pause == Pause(LANE, NOW + 3001 * MINUTE, "koji_unreachable", "Koji did not answer.")
    one = await ledger.launches.find("one")
    assert one is not None
    assert (one.status, one.pause_reason) == (LaunchStatus.RUNNING, None), "it goes on by itself"


async def test_a_launch_that_begins_while_koji_is_away_is_told_then(ledger: Ledger) -> None:
    await a_launch(ledger, "one")
    await away(ledger, NOW)
    await a_launch(ledger, "late")
    for minute in (20, 40):
        await away(ledger, NOW, NOW + minute * MINUTE)
    assert [launch for launch, _, _ in await pause_events(ledger)] == ["one", "late"]


async def test_an_owner_that_does_not_know_since_when_tells_only_who_was_never_told(ledger: Ledger) -> None:
    await a_launch(ledger, "one")
    await away(ledger, NOW)
    await a_launch(ledger, "late")
    for minute in (20, 40):
        await away(ledger, 0, NOW + minute * MINUTE)
    assert [launch for launch, _, _ in await pause_events(ledger)] == ["one", "late"]


async def test_the_next_time_that_koji_is_away_is_told_again(ledger: Ledger) -> None:
    await a_launch(ledger, "one")
    for at in (NOW, NOW + 20 * MINUTE):
        await away(ledger, at)
    assert [resumes_at for _, _, resumes_at in await pause_events(ledger)] == [
        NOW + MINUTE,
        NOW + 21 * MINUTE,
    ]


async def test_a_koji_that_comes_and_goes_is_told_once_in_ten_minutes(ledger: Ledger) -> None:
    await a_launch(ledger, "one")
    for minute in range(20):
        await away(ledger, NOW + minute * MINUTE)
    assert [at for _, _, at in await pause_events(ledger)] == [NOW + MINUTE, NOW + 12 * MINUTE]


async def test_an_outage_soon_after_a_short_one_is_told_when_it_lasts(ledger: Ledger) -> None:
    await a_launch(ledger, "one")
    await away(ledger, NOW)
    began = NOW + 5 * MINUTE
    for minute in (5, 8, 12, 20, 40, 4000):
        await away(ledger, began, NOW + minute * MINUTE)
    assert [at for _, _, at in await pause_events(ledger)] == [NOW + MINUTE, NOW + 13 * MINUTE]


async def test_a_wrong_address_is_told_under_the_same_name(ledger: Ledger) -> None:
    await a_launch(ledger, "one")
    await away(ledger, NOW, code="koji_redirect")
    await away(ledger, NOW, NOW + 30 * MINUTE)
    assert await pause_events(ledger) == [("one", "koji_unreachable", NOW + MINUTE)]


async def test_the_days_credits_are_told_once_a_day_and_launch(ledger: Ledger, lease: Lease) -> None:
    one, two = await a_launch(ledger, "one"), await a_launch(ledger, "two")
    ended = await a_launch(ledger, "ended", status=LaunchStatus.CANCELLED)
    midnight = NOW // DAY * DAY
    for launch in (one, two, ended):
        for at in (midnight, midnight + 1, midnight + DAY - 1):
            await ledger.launch_pauses.await_day(lease, launch, at)
    await ledger.launch_pauses.await_day(lease, one, midnight + DAY)
    assert await pause_events(ledger) == [
        ("one", "daily_credits", midnight + DAY),
        ("two", "daily_credits", midnight + DAY),
        ("one", "daily_credits", midnight + 2 * DAY),
    ]


async def test_one_reason_does_not_hide_another(ledger: Ledger, lease: Lease) -> None:
    one = await a_launch(ledger, "one")
    await away(ledger, NOW)
    await ledger.launch_pauses.await_day(lease, one, NOW + 1)
    await ledger.launch_pauses.pause(["default"], "koji_key", NOW + 2)
    assert [reason for _, reason, _ in await pause_events(ledger)] == [
        "koji_unreachable",
        "daily_credits",
        "koji_key",
    ]
    assert (await pause_events(ledger))[-1][2] is None, "somebody has to resume it"


async def test_two_processes_that_notice_at_once_tell_once(
    ledger: Ledger, other_ledger: Ledger, lease: Lease
) -> None:
    for number in range(8):
        one = await a_launch(ledger, f"launch-{number}")
        ledgers = (ledger, other_ledger, ledger, other_ledger)
        await asyncio.gather(*(each.launch_pauses.await_day(lease, one, NOW) for each in ledgers))
    await asyncio.gather(*(away(each, NOW) for each in (ledger, other_ledger, ledger, other_ledger)))
    heard = [(launch, reason) for launch, reason, _ in await pause_events(ledger)]
    assert len(heard) == 16
    assert len(set(heard)) == 16
