"""The trigger launch_paused, as a poll sees it: once a pause, with its reason and when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import DAY, QUICK, World, open_world, until

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_MAX_CREDITS_PER_DAY="1000"
    ) as opened:
        yield opened


def people(*numbers: int) -> list[dict[str, str]]:
    return [{"user_id": f"user-{n:03}", "email": f"person-{n:03}@example.com"} for n in numbers]


async def launch(world: World, *numbers: int, **more: Any) -> Any:
    return await world.get("launch_cohort_interviews", members=people(*numbers), wait_seconds=2, **more)


async def polled(world: World) -> list[dict[str, Any]]:
    """Return what a poll answers, oldest first."""
    found: list[dict[str, Any]] = (await world.client.get("/triggers/launch_paused")).json()
    return found[::-1]


async def tries(world: World, number: int, *, minutes: float = 1) -> None:
    """Let Koji be called so many times more; each call prolongs the pause."""
    for _ in range(number):
        (before,) = await world.context.ledger.leases.pauses()
        world.move(60 * minutes + 1)

        async def prolonged(until: int = before.until) -> bool:
            return any(one.until > until for one in await world.context.ledger.leases.pauses())

        await until(prolonged)


async def finished(world: World, launch_id: str) -> None:
    async def ended() -> bool:
        world.move(61)
        return bool((await world.get("get_launch", launch_id=launch_id))["status"] == "finished")

    await until(ended)


async def test_a_koji_that_is_away_is_told_once_whatever_is_tried_or_restarted(world: World) -> None:
    await world.fault("koji", "status", status=503, times=None)
    first = await launch(world, 1, 2)
    assert first["pause_reason"] == "koji_unreachable"
    (told,) = await polled(world)
    assert (told["launch_id"], told["status"]) == (first["launch_id"], "paused")
    assert told["pause_reason"] == "koji_unreachable"
    assert told["resumes_at"].endswith("Z")
    assert (told["waiting"], told["eta_seconds"]) == (2, None)
    await tries(world, 3)
    await world.restart()
    await tries(world, 3)
    assert [one["id"] for one in await polled(world)] == [told["id"]]
    second = await launch(world, 3)
    await tries(world, 2)
    assert [one["launch_id"] for one in await polled(world)] == [first["launch_id"], second["launch_id"]]
    await world.control("DELETE", "/koji/faults")
    await finished(world, first["launch_id"])
    again = await polled(world)
    assert len(again) == 2
    assert again[0]["invited"] == 2
    assert again[0]["resumes_at"] == told["resumes_at"], "what was so then"


async def test_the_next_outage_is_told_again(world: World) -> None:
    for number in (1, 2):
        await world.fault("koji", "status", status=503, times=None)
        launched = await launch(world, number)
        assert len(await polled(world)) == number
        await world.control("DELETE", "/koji/faults")
        await finished(world, launched["launch_id"])
        world.move(600)


async def test_an_address_that_redirects_is_told_once_and_ends_with_an_answer(world: World) -> None:
    await world.control("POST", "/koji/switches", {"redirect_to": "https://www.koji.example.com"})
    launched = await launch(world, 1)
    assert launched["pause_reason"] == "koji_unreachable"
    (told,) = await polled(world)
    assert (told["pause_reason"], told["launch_id"]) == ("koji_unreachable", launched["launch_id"])
    assert told["resumes_at"]
    await tries(world, 3, minutes=10)
    await world.restart()
    await tries(world, 1)
    assert len(await polled(world)) == 1
    await world.control("POST", "/koji/switches", {"redirect_to": None})
    world.move(600)
    await finished(world, launched["launch_id"])
    assert await world.context.ledger.leases.pauses() == []


@pytest.mark.parametrize("invite_by", ["start", "link"])
async def test_the_days_credits_are_told_once_a_day_to_each_launch(world: World, invite_by: str) -> None:
    await world.reconfigure({"CONNECTOR_MAX_CREDITS_PER_DAY": "4", "KOJI_INVITE_BY": invite_by})
    first = await launch(world, 1, 2, 3, mode="voice")
    assert (first["pause_reason"], first["invited"]) == ("daily_credits", 1)
    second = await launch(world, 4, mode="voice")
    assert second["pause_reason"] == "daily_credits"

    async def both() -> list[dict[str, Any]] | None:
        found = await polled(world)
        return found if len(found) == 2 else None

    told = await until(both)
    assert told is not None
    assert [one["launch_id"] for one in told] == [first["launch_id"], second["launch_id"]]
    for one in told:
        assert (one["status"], one["pause_reason"]) == ("paused", "daily_credits")
        assert one["resumes_at"] == first["resumes_at"]
    await world.restart()
    world.move(1)
    text = await launch(world, 5, mode="text")
    assert (text["status"], text["invited"]) == ("finished", 1), "one credit is left"
    assert len(await polled(world)) == 2
    world.move(DAY)

    async def the_next_day() -> bool:
        world.context.wake()
        return len(await polled(world)) == 4

    await until(the_next_day)


async def test_people_of_the_day_who_are_too_many_are_no_pause(world: World) -> None:
    await world.reconfigure(
        {
            "CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH": "1",
            "AMPLITUDE_COHORT_WEBHOOK_TOKEN": "t-0123456789abcdef",
        }  # not-a-secret
    )
    users = [{"user_id": one["user_id"], "user_properties": {"email": one["email"]}} for one in people(1, 2)]
    answer = await world.client.post(
        "/webhooks/amplitude/cohorts?cohort_id=c-1",
        json=users,
        headers={"Authorization": "Bearer t-0123456789abcdef"},  # not-a-secret
    )
    assert answer.status_code == 200, answer.text

    async def one_invited() -> bool:
        items = (await world.get("list_launches"))["items"]
        return bool(items and items[0]["invited"] == 1 and items[0]["waiting"] == 1)

    await until(one_invited)
    assert (await world.get("list_launches"))["items"][0]["status"] == "running"
    assert await polled(world) == []


async def test_a_hook_is_told_what_a_poll_is(world: World) -> None:
    """The event is one row: a subscription gets a delivery of it in the same transaction."""
    await world.reconfigure({"CONNECTOR_ALLOW_PRIVATE_TARGETS": "true"})
    hooked = await world.client.post(
        "/hooks", json={"target_url": "http://127.0.0.1:9/paused", "event": "launch_paused"}
    )
    assert hooked.status_code == 201, hooked.text
    await world.fault("koji", "status", status=503, times=None)
    await launch(world, 1)
    deliveries = await world.context.ledger.hooks.deliveries(["default"], hooked.json()["id"], 10)
    assert [one.event.id for one in deliveries] == [one["id"] for one in await polled(world)]
