"""list_syncs finds interviews by their id, and by every e-mail and user id of the respondent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import QUICK, World, message, open_world

pytestmark = pytest.mark.e2e

ADA = {"email": "ada@example.com", "user_id": "user-ada"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id) as opened:
        yield opened


async def found(world: World, search: str, **more: Any) -> list[str]:
    return [one["interview_id"] for one in (await world.get("list_syncs", search=search, **more))["items"]]


async def lived(world: World) -> str:
    """Let a person be interviewed by invitation and without one, and others beside."""
    invited: str = (await world.get("start_interview", **ADA, wait_seconds=20))["interview_id"]
    (started,) = world.sandbox.koji.store.interviews.values()
    await world.deliver(message(invited, respondent_email=None, external_id=started.external_id))
    await world.deliver(message("int-mail", respondent_email="Ada@Example.com", quality_score=1))
    await world.deliver(message("int-other", 7))
    await world.send({"event": "interview.completed", "said": ADA["email"]})  # unreadable
    await world.deliver(message("int-hidden", respondent_email=ADA["email"], anonymous=True))
    await world.ended(invited, "int-mail", "int-other", "int-hidden")
    return invited


async def test_by_each_name_of_a_person_and_by_id(world: World) -> None:
    invited = await lived(world)
    theirs = sorted([invited, "int-mail"])
    for name in (*ADA.values(), "ADA@example.com", "<ada@example.com>"):
        assert sorted(await found(world, name)) == theirs, name
    assert await found(world, "int-other") == ["int-other"]
    assert await found(world, ADA["email"], status="skipped") == ["int-mail"]
    assert await found(world, "person-007@example.com") == ["int-other"]
    for name in ("nobody@example.com", "int-", "N/A", "%"):
        assert await found(world, name) == [], name


async def test_pages_of_a_search_lose_no_row(world: World) -> None:
    invited = await lived(world)
    first = await world.get("list_syncs", search=ADA["email"], limit=1)
    second = await world.get("list_syncs", search=ADA["email"], limit=1, cursor=first["next_cursor"])
    assert (first["has_more"], second["has_more"]) == (True, False)
    both = {page["items"][0]["interview_id"] for page in (first, second)}
    assert both == {invited, "int-mail"}


async def test_an_erased_person_is_found_by_no_name(world: World) -> None:
    await lived(world)
    await world.get("forget_respondent", email=ADA["email"], wait_seconds=20)
    assert [await found(world, name) for name in ADA.values()] == [[], []]
    assert await found(world, "int-mail") == ["int-mail"], "that it existed stays"
