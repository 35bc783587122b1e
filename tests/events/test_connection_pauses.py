"""The triggers connection_paused and connection_resumed: one of each for a pause, from every way it can end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.harness import QUICK, World, message, open_world, until
from tests.support.processes import HEADERS, Process
from tests.support.receiver import Receiver, arrived, receiving

pytestmark = pytest.mark.e2e

TYPES = ("connection_paused", "connection_resumed")
PROJECT = {"KOJI_PROJECT_ID": str(QUICK.koji_project_id)}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_ALLOW_PRIVATE_TARGETS="true"
    ) as opened:
        yield opened


@pytest.fixture
async def receiver(world: World) -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        for event in TYPES:
            hook = {"event": event, "target_url": opened.url}
            assert (await world.client.post("/hooks", json=hook)).status_code == 201
        yield opened


async def refuse(world: World, service: str = "koji", status: int = 401, **fields: Any) -> None:
    await world.fault(service, "status", status=status, times=None, **fields)


async def mend(world: World, service: str = "koji") -> None:
    await world.control("DELETE", f"/{service}/faults")


async def told(world: World) -> list[tuple[str, str]]:
    """Return type and reason of each event, as polls show them."""
    found = []
    for event in TYPES:
        found += (await world.client.get(f"/triggers/{event}")).json()
    return [(one["type"], one["reason"]) for one in found]


async def pauses(world: World) -> list[Any]:
    answer = await world.client.get("/readyz")
    assert answer.status_code == 200
    return list(answer.json()["pauses"])


async def a_read(world: World, interview_id: str = "int-1") -> None:
    """Let an interview be read from Koji."""
    await world.interview(interview_id)
    await world.deliver({"interview_id": interview_id})


async def until_told(world: World, number: int) -> list[tuple[str, str]]:
    async def enough() -> bool:
        return len(await told(world)) >= number

    await until(enough)
    return await told(world)


async def test_a_refused_key_and_its_end_are_told_once_each(world: World, receiver: Receiver) -> None:
    await refuse(world)
    await a_read(world)
    (paused,) = await arrived(receiver, 1)
    assert list(paused) == ["id", "type", "timestamp", "connection", "reason", "message", "since"]
    assert (paused["type"], paused["connection"], paused["reason"]) == (TYPES[0], "default", "koji_key")
    assert "KOJI_API_KEY" in paused["message"]
    assert await pauses(world) == [{"connection": "default", "reason": "koji_key", "since": paused["since"]}]
    for _ in range(3):  # the worker tries again each ten minutes
        reads = len(world.sandbox.koji.calls)

        async def tried(before: int = reads) -> bool:
            world.move(61)
            return len(world.sandbox.koji.calls) > before

        await until(tried)
    await world.idle()
    assert await told(world) == [(TYPES[0], "koji_key")]

    await mend(world)
    await world.get("check_connection")
    _, resumed = await arrived(receiver, 2)
    assert (resumed["type"], resumed["reason"], resumed["since"]) == (TYPES[1], "koji_key", paused["since"])
    assert resumed["message"] == "Calls to Koji are accepted again."
    assert await pauses(world) == []
    await world.ended("int-1")
    assert len(await told(world)) == 2


async def test_a_key_that_is_still_refused_after_a_resume_is_the_same_pause(world: World) -> None:
    await refuse(world, route="start")
    launch = await world.get(
        "launch_cohort_interviews", members=[{"email": "ada@example.com"}], wait_seconds=0
    )
    await until_told(world, 1)
    for _ in range(2):
        await world.get("resume_launch", launch_id=launch["launch_id"], wait_seconds=5)
    assert await told(world) == [(TYPES[0], "koji_key")]
    await mend(world)
    await world.get("resume_launch", launch_id=launch["launch_id"], wait_seconds=5)
    assert await until_told(world, 2) == [(TYPES[0], "koji_key"), (TYPES[1], "koji_key")]


@pytest.mark.parametrize(("status", "reason"), [(402, "koji_credits"), (403, "koji_permission")])
async def test_a_read_does_not_end_the_pause_of_a_start(world: World, status: int, reason: str) -> None:
    await refuse(world, status=status, route="start")
    launch = await world.get(
        "launch_cohort_interviews", members=[{"email": "ada@example.com"}], wait_seconds=0
    )
    await until_told(world, 1)
    world.move(601)
    await a_read(world)
    await world.ended("int-1")
    assert await told(world) == [(TYPES[0], reason)]
    await mend(world)
    await world.get("resume_launch", launch_id=launch["launch_id"], wait_seconds=5)
    assert await until_told(world, 2) == [(TYPES[0], reason), (TYPES[1], reason)]


async def test_an_unreachable_koji_is_told_after_ten_minutes(world: World) -> None:
    await refuse(world, status=503)
    await a_read(world)
    await until(world.context.ledger.leases.pauses)
    assert await pauses(world) == []

    async def announced() -> bool:
        world.move(61)
        return bool(await told(world))

    started = world.clock.now()
    await until(announced)
    assert world.clock.now() - started >= 600_000
    assert await told(world) == [(TYPES[0], "koji_unreachable")]
    await mend(world)
    world.move(61)
    assert await until_told(world, 2) == [(TYPES[0], "koji_unreachable"), (TYPES[1], "koji_unreachable")]


async def test_a_short_outage_is_not_told(world: World) -> None:
    await refuse(world, status=503)
    await a_read(world)
    await until(world.context.ledger.leases.pauses)
    world.move(300)
    await mend(world)
    world.move(61)
    await world.ended("int-1")
    assert await world.context.ledger.connection_pauses.listed(["default"]) == []
    await refuse(world, status=503)
    await a_read(world, "int-2")
    await until(world.context.ledger.leases.pauses)
    world.move(400)  # the two outages together are longer than ten minutes
    await world.idle()
    assert await told(world) == []


async def test_amplitudes_refused_key_ends_by_itself_after_a_restart_with_a_good_one(world: World) -> None:
    await refuse(world, "amplitude", status=401)
    await world.deliver(message("int-1"))
    assert await until_told(world, 1) == [(TYPES[0], "amplitude_key")]
    await mend(world, "amplitude")
    await world.restart()  # nothing is due: the interview waits for its next attempt
    assert await until_told(world, 2) == [(TYPES[0], "amplitude_key"), (TYPES[1], "amplitude_key")]
    await world.ended("int-1")


async def test_a_koji_key_that_was_replaced_is_tried_at_the_start(world: World) -> None:
    await world.restart(KOJI_API_KEY="a-wrong-key")
    await world.call("start_interview", email="ada@example.com")
    assert await until_told(world, 1) == [(TYPES[0], "koji_key")]
    await world.restart(KOJI_API_KEY=QUICK.koji_api_key)
    assert await until_told(world, 2) == [(TYPES[0], "koji_key"), (TYPES[1], "koji_key")]


async def test_connections_that_share_a_key_are_each_told(world: World) -> None:
    shared = f'[connections.other]\nkoji_api_key = "{QUICK.koji_api_key}"\n'
    shared += f'koji_base_url = "{world.sandbox_url}/koji"\n'
    await world.restart(toml=shared)
    await refuse(world)
    await a_read(world)
    await until_told(world, 2)
    assert {one["connection"] for one in await pauses(world)} == {"default", "other"}
    await mend(world)
    await world.get("check_connection")
    assert len(await until_told(world, 4)) == 4
    assert await pauses(world) == []


async def test_processes_that_are_killed_tell_a_pause_once(world: World, tmp_path: Path) -> None:
    await world.stop()
    await refuse(world)
    async with httpx.AsyncClient(headers=HEADERS, trust_env=False) as client:

        async def events(process: Process) -> list[str]:
            return [
                one["type"]
                for event in TYPES
                for one in (await client.get(f"{process.url}/triggers/{event}")).json()
            ]

        for _ in range(2):
            killed = [Process(tmp_path, world.sandbox_url, lease_ms=300, more=PROJECT) for _ in range(2)]
            for process in killed:
                await process.ready(client)
            body = {"email": "ada@example.com", "wait_seconds": 1}
            await client.post(f"{killed[0].url}/actions/start_interview", json=body)

            async def told_by(process: Process = killed[1]) -> bool:
                return bool(await events(process))

            await until(told_by)
            for process in killed:
                process.kill()
        await world.start()
        assert await told(world) == [(TYPES[0], "koji_key")]
        await mend(world)
        await world.get("check_connection")
        assert await until_told(world, 2) == [(TYPES[0], "koji_key"), (TYPES[1], "koji_key")]


async def test_a_check_of_the_key_says_nothing_of_credits_and_ends_no_pause_for_want_of_them(
    world: World,
) -> None:
    await refuse(world, status=402, route="start")
    launch = await world.get(
        "launch_cohort_interviews", members=[{"email": "ada@example.com"}], wait_seconds=5
    )
    assert launch["pause_reason"] == "koji_credits"
    await until_told(world, 1)
    checked = {check["name"]: check for check in (await world.get("check_connection"))["checks"]}
    assert checked["koji_api_key"]["status"] == "warn"
    assert "no credits left. Buy some, then call resume_launch." in checked["koji_api_key"]["message"]
    assert await told(world) == [(TYPES[0], "koji_credits")]
    (pause,) = (await world.get("get_overview"))["pauses"]
    assert pause["reason"] == "koji_credits"
    waiting = await world.get("get_launch", launch_id=launch["launch_id"])
    assert "no credits left" in waiting["message"]
    await mend(world)
    resumed = await world.get("resume_launch", launch_id=launch["launch_id"], wait_seconds=10)
    assert resumed["status"] == "finished"
    assert await until_told(world, 2) == [(TYPES[0], "koji_credits"), (TYPES[1], "koji_credits")]
