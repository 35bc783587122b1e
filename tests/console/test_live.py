"""The stream of a launch's page: it says that something changed, and ends with the launch or the session."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.console.visitor import Visitor
from tests.launches.test_launches import people
from tests.support.harness import World, serving

pytestmark = pytest.mark.e2e


async def test_a_stream_tells_of_changes_and_ends_with_the_launch(world: World, owner: Visitor) -> None:
    await world.hold("koji", "start")
    launched = await world.get("launch_cohort_interviews", members=people(1, 2), wait_seconds=0)
    await world.held("koji")
    url = f"/console/launches/{launched['launch_id']}/events"
    async with serving(world.app) as base, httpx.AsyncClient(base_url=base, trust_env=False) as client:
        client.cookies.update(dict(owner.client.cookies))
        async with client.stream("GET", url) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: changed"
            await world.release("koji")
            rest = [line async for line in lines]
        events = [line for line in rest if line.startswith("event")]
        assert events[0] == "event: changed"
        assert events[-1] == "event: ended"


async def test_a_stream_ends_with_its_session(world: World, owner: Visitor) -> None:
    await world.hold("koji", "start")
    launched = await world.get("launch_cohort_interviews", members=people(1), wait_seconds=0)
    await world.held("koji")
    url = f"/console/launches/{launched['launch_id']}/events"
    async with serving(world.app) as base, httpx.AsyncClient(base_url=base, trust_env=False) as client:
        client.cookies.update(dict(owner.client.cookies))
        async with client.stream("GET", url) as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: changed"
            await owner.post("/console/sign-out")
            async with asyncio.timeout(30):
                assert "event: ended" not in [line async for line in lines]
    await world.release("koji")
