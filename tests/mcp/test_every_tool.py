"""The official client calls every tool, over both transports and in both eras."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp import Client
from mcp.types import ElicitRequestParams, ElicitResult

from connector.operations import OPERATIONS
from tests.mcp.clients import SETTINGS, WAYS, Era, a_client, people, refused, text_of, values_of
from tests.support.harness import QUICK, World, open_world, until

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, options=QUICK, **SETTINGS) as opened:
        cohort = {"id": "cohort-1", "name": "Dropped off", "members": [{"user_id": "user-900"}]}
        await opened.control("POST", "/amplitude/cohorts", cohort)
        yield opened


async def yes(_: Any, asked: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={})


class Tour:
    """Calls tools, and holds each answer against what the tool promises."""

    def __init__(self, client: Client, schemas: dict[str, Any], *, can_ask: bool) -> None:
        self.client = client
        self.can_ask = can_ask
        self.schemas = schemas
        self.called: set[str] = set()

    async def spend(self, name: str, **arguments: Any) -> dict[str, Any] | None:
        """Call what the person has to approve; None when this client's way has no room for the question."""
        if not self.can_ask:
            refused(await self.client.call_tool(name, arguments), "consent_required")
            self.called.add(name)
            return None
        return await self.call(name, **arguments)

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        answer = await self.client.call_tool(name, arguments)
        values = values_of(answer)
        jsonschema.validate(values, self.schemas[name])
        assert set(values) <= set(self.schemas[name]["properties"]), name
        steps = [line for line in text_of(answer).splitlines() if line.startswith("Next: ")]
        assert steps == ([f"Next: {values['next']}"] if "next" in values else []), name
        for key, value in values.items():
            if key.endswith("_id") and value:
                assert str(value) in text_of(answer), (name, key)
        self.called.add(name)
        return values


@pytest.mark.parametrize("way", WAYS, ids=["-".join(way) for way in WAYS])
async def test_every_tool_answers_what_its_schema_says(
    world: World, tmp_path: Path, way: tuple[str, Era]
) -> None:
    folder = tmp_path / "stdio"
    folder.mkdir()
    async with a_client(way, world, folder, elicitation_callback=yes) as client:
        listed = (await client.list_tools()).tools
        assert [one.name for one in listed] == [op.name for op in OPERATIONS]
        schemas = {one.name: one.output_schema for one in listed}
        tour = Tour(client, schemas, can_ask=way != ("http", "legacy"))
        await walk(tour, world)
    assert tour.called == {op.name for op in OPERATIONS}


async def walk(tour: Tour, world: World) -> None:
    assert (await tour.call("list_connections"))["items"][0]["id"] == "default"
    assert (await tour.call("check_connection"))["checks"]
    assert (await tour.call("get_overview"))["launches"] == []
    assert [one["id"] for one in (await tour.call("list_cohorts"))["items"]] == ["cohort-1"]

    planned = await tour.call("plan_cohort_launch", members=people(1, 2), wait_seconds=10)
    launched = await tour.call("launch_cohort_interviews", plan_token=planned["plan_token"], wait_seconds=20)
    assert (launched["status"], launched["invited"]) == ("finished", 2)
    if asked := await tour.spend("launch_cohort_interviews", cohort_id="cohort-1", wait_seconds=20):
        assert asked["cohort_name"] == "Dropped off"
    if one := await tour.spend("start_interview", email="single@example.com", wait_seconds=20):
        assert one["status"] == "started", one
        assert one["interview_link"]
    progress = await tour.call("get_launch", launch_id=launched["launch_id"])
    assert [person["state"] for person in progress["invitations"]] == ["started", "started"]
    await tour.spend("resume_launch", launch_id=launched["launch_id"])
    other = await tour.call("plan_cohort_launch", members=people(3))
    assert (await tour.call("cancel_launch", launch_id=other["launch_id"]))["status"] == "cancelled"
    assert len((await tour.call("list_launches"))["items"]) >= 2

    interview_id = progress["invitations"][0]["interview_id"]
    await tour.call("complete_interview", interview_id=interview_id)

    async def analysed() -> dict[str, Any] | None:
        analysis = await tour.call("get_interview_analysis", interview_id=interview_id)
        return analysis if analysis["analysis_status"] == "completed" else None

    analysis = await until(analysed)
    assert analysis is not None
    assert analysis["themes"]
    assert await tour.call("preview_interview_sync", interview_id=interview_id)
    synced = await tour.call("sync_interview_to_amplitude", interview_id=interview_id, wait_seconds=20)
    assert synced["status"] == "synced", synced
    assert (await tour.call("get_sync", interview_id=interview_id))["attempts"]
    await world.interview("past-1", 50)
    assert (await tour.call("get_theme_report"))["interviews"] == 1
    assert (await tour.call("suggest_theme_keys"))["hidden"]
    run = await tour.call("backfill_interviews", interview_ids=["past-1"], wait_seconds=20)
    assert (await tour.call("get_run", run_id=run["run_id"]))["total"] == 1
    await tour.call("replay_syncs", status="failed")
    assert interview_id in [one["interview_id"] for one in (await tour.call("list_syncs"))["items"]]
    person = await tour.call("get_person", email="person-001@example.com")
    assert [one["state"] for one in person["invitations"]] == ["completed"]
    gone = await tour.call("forget_respondent", email="person-001@example.com", wait_seconds=20)
    assert gone["done"]
    entries = (await tour.call("list_audit", limit=50))["items"]
    assert {"launch_cohort_interviews", "forget_respondent"} <= {one["operation"] for one in entries}
    assert {one["surface"] for one in entries} == {"mcp"}
