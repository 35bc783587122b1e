"""Interface 3.3: whoever turns out anonymous is not shown again, whatever came before or comes later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import World, message, open_world, until

pytestmark = pytest.mark.e2e

MARKED = {"anonymous": True}


async def bodies(world: World) -> list[Any]:
    receipt = await world.get("get_sync", interview_id="int-1")
    return [one["body"] for one in receipt["received"]]


@pytest.mark.parametrize("later", [{}, MARKED], ids=["without a mark", "with a mark"])
async def test_no_body_of_a_synced_interview_stays_once_it_is_anonymous(
    tmp_path: Path, later: dict[str, Any]
) -> None:
    async with open_world(tmp_path) as world:
        await world.deliver(message("int-1"))
        await world.seen("int-1", status="synced")
        await world.deliver(message("int-1", quality_score=4.1, **MARKED))

        async def erased() -> bool:
            return await bodies(world) == [None, None]

        assert await until(erased)
        await world.deliver(message("int-1", quality_score=4.3, **later))

        async def erased_again() -> bool:
            return await bodies(world) == [None, None, None]

        assert await until(erased_again)
        receipt = await world.get("get_sync", interview_id="int-1")
        assert (receipt["status"], receipt["user_id"]) == ("synced", None)
        assert "person-001" not in repr(receipt)
        assert len(world.completed()) == 1


async def test_no_body_of_an_anonymous_interview_of_another_project_stays(tmp_path: Path) -> None:
    async with open_world(tmp_path, KOJI_PROJECT_ID="ours") as world:
        await world.deliver(message("int-1", project_id="theirs", **MARKED))
        assert (await world.ended("int-1"))["reason"] == "other_project"
        assert await bodies(world) == [None]
