"""The pages for people as a browser asks for them: the first page, the documentation, and their files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector import __version__
from connector.http.docs.page import STATIC
from tests.support.harness import World, open_world

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_the_first_page_says_whether_the_server_works_and_where_to_go(world: World) -> None:
    page = await world.client.get("/", headers={"Authorization": ""})
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert f"Version {__version__}" in page.text
    assert "<strong>Up.</strong>" in page.text
    for path in ("/docs", "/openapi.json", "/healthz", "/readyz"):
        assert f'href="{path}"' in page.text
        assert (await world.client.get(path, headers={"Authorization": ""})).status_code == 200
    assert world.context.settings.connector_api_token is not None
    assert world.context.settings.connector_api_token.get_secret_value() not in page.text


async def test_the_first_page_shows_what_waits_for_a_person(world: World) -> None:
    await world.fault("koji", "status", status=401, times=None)
    await world.call("get_interview_analysis", interview_id="itv-1")
    await world.send({"event": "interview.completed", "interview_id": "itv-1"})
    for _ in range(200):
        if (await world.client.get("/readyz")).json()["pauses"]:
            break
        await world.idle()
    page = (await world.client.get("/")).text
    assert "<strong>Up, with pauses.</strong>" in page
    assert "<code>koji_key</code>" in page


async def test_the_first_page_says_that_the_server_is_down(world: World) -> None:
    world.context.stopping.set()
    assert "<strong>Down: The server is stopping.</strong>" in (await world.client.get("/")).text


async def test_files_of_the_pages_are_served_and_nothing_beside_them(world: World) -> None:
    for file in STATIC.iterdir():
        assert (await world.client.get(f"/static/{file.name}")).content == file.read_bytes()
    for name in ("", "../page.py", "%2e%2e/page.py", "none.css"):
        assert (await world.client.get(f"/static/{name}")).status_code == 404
