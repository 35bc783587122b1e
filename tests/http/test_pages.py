"""The documentation as a browser asks for it: its files, and nothing beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.http.docs.page import STATIC
from tests.support.harness import World, open_world

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_no_answer_leads_to_the_host_that_a_request_names(world: World) -> None:
    answer = await world.client.post("/hooks/", headers={"Host": "evil.example"}, json={})
    assert answer.status_code == 404
    assert "location" not in answer.headers


async def test_files_of_the_pages_are_served_and_nothing_beside_them(world: World) -> None:
    for file in STATIC.iterdir():
        assert (await world.client.get(f"/static/{file.name}")).content == file.read_bytes()
    for name in ("", "../page.py", "%2e%2e/page.py", "none.css"):
        assert (await world.client.get(f"/static/{name}")).status_code == 404
