"""An interview's id at every door: placeholders name none, a UUID is one in every spelling."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.test_census import plan, rpc
from tests.support.harness import World, message, open_world, until

pytestmark = pytest.mark.e2e

ANN, BEN = "ann@example.com", "ben@example.com"
UUID = "0b6f2c1e-5d7a-4c3b-9e21-a1b2c3d4e5f6"
VALUES: dict[str, Any] = {"themes": "pricing", "quality_score": 4}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as one:
        yield one


@pytest.mark.parametrize("written", ["{{steps.trigger.id}}", "null", "N/A", "-", "1.23457E+19", ANN])
async def test_a_placeholder_is_refused_by_name(world: World, written: str) -> None:
    calls: list[tuple[str, dict[str, Any], str]] = [
        ("sync_interview_to_amplitude", {"interview_id": written, **VALUES}, "/interview_id"),
        ("preview_interview_sync", {"interview_id": written}, "/interview_id"),
        ("sync_interview_to_amplitude", {"interview": message(written)}, "/interview"),
        ("backfill_interviews", {"interview_ids": ["int-1", written]}, "/interview_ids/1"),
        ("backfill_interviews", {"csv": f"interview_id\n{written}\n"}, "/csv"),
    ]
    for name, fields, pointer in calls:
        refused = await world.call(name, **fields)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer), name
        assert written not in refused.json()["detail"] or written == "-"
    assert (await world.call("get_sync", interview_id=written)).status_code == 404
    row = {"interview_id": written, **VALUES, "respondent_email": ANN}
    (result,) = (await rpc(world, "sync_batch", plan(row, of="interview_sync", identifier="interview_id")))[
        "record_results"
    ]
    assert (result["success"], result["error_message"].partition(":")[0]) == (False, "interview_id")
    assert world.stored() == []


async def test_a_webhook_with_a_placeholder_is_kept_as_unreadable(world: World) -> None:
    for email in (ANN, BEN):
        answer = await world.send(message("{{interview.id}}", respondent_email=email))
        assert answer.json() == {"status": "unreadable"}
    assert len((await world.get("list_syncs", status="unreadable"))["items"]) == 2


async def test_another_respondent_of_a_synced_interview_is_told(world: World) -> None:
    first = {"interview_id": "int-1", **VALUES, "respondent_email": "Ann <Ann@example.com>"}
    assert (await world.get("sync_interview_to_amplitude", **first, wait_seconds=10))["warning"] is None
    again = await world.get("sync_interview_to_amplitude", **{**first, "respondent_email": ANN})
    assert again["warning"] is None
    other = await world.get("sync_interview_to_amplitude", **{**first, "respondent_email": BEN})
    assert (other["status"], other["user_id"]) == ("synced", "Ann@example.com")
    assert "another respondent" in other["warning"]
    assert BEN not in other["warning"]
    assert (await world.get("get_sync", interview_id="int-1"))["warning"] == other["warning"]
    await world.deliver(message("int-2"))
    await world.ended("int-2")
    await world.deliver(message("int-2", respondent_email=BEN))

    async def is_told() -> bool:
        return bool((await world.get("get_sync", interview_id="int-2"))["warning"] == other["warning"])

    await until(is_told)
    assert len(world.requests) == 2


async def test_a_uuid_is_one_interview_in_every_spelling(world: World) -> None:
    await world.deliver(message(UUID.upper()))
    assert (await world.ended(UUID))["interview_id"] == UUID
    for written in (UUID, UUID.upper(), f"{{{UUID}}}"):
        assert (await world.get("get_sync", interview_id=written))["interview_id"] == UUID
        again = await world.get("sync_interview_to_amplitude", interview_id=written)
        assert (again["status"], again["interview_id"]) == ("synced", UUID)
    run = await world.get("replay_syncs", interview_ids=[UUID, UUID.upper()], wait_seconds=10)
    assert run["total"] == 1
    assert world.completed() == [UUID]
