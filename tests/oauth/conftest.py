"""A world at its public address, a person who is signed in, and a client that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from tests.console.visitor import Visitor, visiting
from tests.oauth.asking import Asking
from tests.support.harness import QUICK, World, open_world, serving

TOML = '[connections.shop]\nkoji_api_key = "a-second-key"\n'


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    opened: World

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await opened.app(scope, receive, send)

    async with (
        serving(app) as url,
        open_world(tmp_path, toml=TOML, PUBLIC_URL=url, KOJI_PROJECT_ID=QUICK.koji_project_id) as opened,
    ):
        yield opened


@pytest.fixture
async def person(world: World) -> AsyncIterator[Visitor]:
    async with visiting(world.app, world.settings.public_url) as visitor:
        await visitor.sign_in()
        yield visitor


@pytest.fixture
async def asking(world: World) -> AsyncIterator[Asking]:
    async with Asking.of(world) as client:
        yield client
