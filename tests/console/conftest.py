"""A world, and a person who is signed in to its console."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.console.visitor import Visitor, visiting
from tests.support.harness import QUICK, World, open_world

TOML = '[connections.shop]\nkoji_api_key = "a-second-key"\n'


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        toml=TOML,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_CREDITS_PER_DAY="1000",
        AMPLITUDE_COHORT_WEBHOOK_TOKEN="a-cohort-token",
    ) as opened:
        yield opened


@pytest.fixture
async def stranger(world: World) -> AsyncIterator[Visitor]:
    async with visiting(world.app) as visitor:
        yield visitor


@pytest.fixture
async def owner(world: World) -> AsyncIterator[Visitor]:
    async with visiting(world.app) as visitor:
        await visitor.sign_in()
        yield visitor
