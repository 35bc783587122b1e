"""The stream of a launch's page: it says that something changed, and ends with the launch or the session."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

from connector.console import live
from tests.console.visitor import Visitor, visiting
from tests.launches.test_launches import people
from tests.support.harness import World, serving, until

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


@pytest.mark.parametrize("full", ["session", "token", "process"])
async def test_without_room_a_page_comes_back_later(
    world: World, owner: Visitor, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    most = {"session": "OF_SESSION", "token": "OF_TOKEN", "process": "OF_ALL"}[full]
    monkeypatch.setattr(live, most, 3)
    await world.hold("koji", "start")
    launched = await world.get("launch_cohort_interviews", members=people(1), wait_seconds=0)
    await world.held("koji")
    url = f"/console/launches/{launched['launch_id']}/events"
    async with (
        visiting(world.app) as again,
        serving(world.app) as base,
        httpx.AsyncClient(base_url=base, trust_env=False) as client,
        AsyncExitStack() as open_streams,
    ):
        await again.sign_in()
        mine, other = (
            {"Cookie": "; ".join(f"{k}={v}" for k, v in v.client.cookies.items())} for v in (owner, again)
        )

        async def first_line(headers: dict[str, str]) -> str:
            async with client.stream("GET", url, headers=headers) as stream:
                return await anext(stream.aiter_lines())

        streams, read = [AsyncExitStack() for _ in range(3)], []
        for one in streams:
            await open_streams.enter_async_context(one)
            stream = await one.enter_async_context(client.stream("GET", url, headers=mine))
            read.append(stream.aiter_lines())  # kept: a stream ends with the reading of it
            assert await anext(read[-1]) == "event: changed"
        assert (await client.get(url, headers=mine)).text == "retry: 15000\nevent: changed\ndata:\n\n"
        assert (await first_line(other) == "event: changed") is (full == "session")
        await streams[0].aclose()

        async def has_room() -> bool:
            return await first_line(mine) == "event: changed"

        await until(has_room)
    await world.release("koji")
