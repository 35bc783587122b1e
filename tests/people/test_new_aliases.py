"""People who say no, rest or are invited already: an alias that is new beside theirs is theirs from then on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.harness import QUICK, World, open_world, until

pytestmark = pytest.mark.e2e

OLD = {"user_id": "user-ada", "email": "ada@example.com"}
NEW = {"user_id": "user-ada", "email": "ada@new.example.com"}
ALONE = {"email": "ada@new.example.com"}
PEOPLE = [{"email": f"p{n:03}@example.com"} for n in range(501)]  # a worker decides over so many


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        options=QUICK,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_CREDITS_PER_DAY="1000",
        AMPLITUDE_COHORT_WEBHOOK_TOKEN="t0ken",
    ) as opened:
        toml = f"""
[connections.pricing]
koji_api_key = "sandbox-koji-key"
koji_base_url = "{opened.sandbox_url}/koji"
koji_project_id = "pricing"
amplitude_api_key = "sandbox-amplitude-key"
amplitude_secret_key = "sandbox-amplitude-secret"
amplitude_rest_url = "{opened.sandbox_url}/amplitude"
amplitude_cohort_webhook_token = "t0ken"
"""
        await opened.restart(toml=toml)
        yield opened


async def start(world: World, person: dict[str, str], connection: str) -> None:
    answer = await world.get("start_interview", **person, connection=connection)
    assert answer["status"] == "skipped"


async def census(world: World, person: dict[str, str], connection: str) -> None:
    schema = {
        name: {"active_identifier": name == "email", "field": {"field_api_name": name}} for name in person
    }
    plan = {"object": {"object_api_name": "invitation"}, "operation": "upsert", "schema": schema}
    call = {
        "jsonrpc": "2.0",
        "method": "sync_batch",
        "params": {"sync_plan": plan, "records": [person]},
        "id": 1,
    }
    answer = await world.client.post("/integrations/census", params={"connection": connection}, json=call)
    assert len(answer.json()["result"]["record_results"]) == 1, answer.text


async def plan(world: World, person: dict[str, str], connection: str) -> None:
    answer = await world.get("plan_cohort_launch", members=[person], connection=connection)
    assert answer["to_invite"] == 0


async def launch(world: World, person: dict[str, str], connection: str) -> None:
    answer = await world.get("launch_cohort_interviews", members=[person], connection=connection)
    assert answer["to_invite"] == 0


async def many(world: World, person: dict[str, str], connection: str) -> None:
    members = [*PEOPLE, person]
    answer = await world.get(
        "plan_cohort_launch", members=members, connection=connection, max_interviews=1, wait_seconds=20
    )
    assert (answer["to_invite"], answer["members_total"]) == (1, 502)


async def cohort(world: World, person: dict[str, str], connection: str) -> None:
    members = [{"user_id": person["user_id"], "properties": {"email": person["email"]}}]
    await world.control(
        "POST", "/amplitude/cohorts", {"id": "c1", "name": "C", "published": True, "members": members}
    )
    launched = await world.get("plan_cohort_launch", cohort_id="c1", connection=connection)

    async def planned() -> bool:
        shown = await world.get("get_launch", launch_id=launched["launch_id"], connection=connection)
        return bool(shown["status"] == "planned" and shown["members_total"] == 1)

    await until(planned)


async def webhook(world: World, person: dict[str, str], connection: str) -> None:
    users = [{"user_id": person["user_id"], "user_properties": {"email": person["email"]}}]
    body = {"cohort_id": "c1", "in_cohort": True, "computed_time": "1790000000", "users": users}
    path = f"/webhooks/amplitude/cohorts/{connection}"
    answer = await world.client.post(path, json=body, headers={"Authorization": "Bearer t0ken"})
    assert answer.status_code == 200, answer.text
    await world.idle()


Door = Callable[[World, dict[str, str], str], Awaitable[None]]
DOORS = [start, census, plan, launch, many, cohort, webhook]


async def say_no(world: World) -> None:
    answer = await world.get("start_interview", **OLD, mode="text")
    assert (await world.client.post(urlsplit(answer["opt_out_link"]).path)).status_code == 200


async def skipped(world: World) -> list[Any]:
    """Return why the new alias alone is not invited, by a plan and by a start, on both connections."""
    reasons: list[Any] = []
    for connection in ("default", "pricing"):
        planned = await world.get("plan_cohort_launch", members=[ALONE], connection=connection)
        reasons += planned["skipped"]
        started = await world.get("start_interview", **ALONE, connection=connection)
        reasons.append(started["reason"])
    return reasons


@pytest.mark.parametrize(
    ("door", "connection"), [(start, "default"), (launch, "default"), *((door, "pricing") for door in DOORS)]
)
async def test_a_no_goes_for_a_new_alias(world: World, door: Door, connection: str) -> None:
    await say_no(world)
    await door(world, NEW, connection)
    assert await skipped(world) == ["opted_out"] * 4


@pytest.mark.parametrize("door", [start, launch, webhook])
async def test_a_rest_goes_for_a_new_alias(world: World, door: Door) -> None:
    await world.restart(CONNECTOR_REST_DAYS_AFTER_INVITATION="30")
    await world.get("start_interview", **OLD, mode="text")
    await door(world, NEW, "pricing")
    assert await skipped(world) == ["resting"] * 4


async def test_who_is_over_the_limit_elsewhere_and_then_says_no_is_known(world: World) -> None:
    answer = await world.get("start_interview", **OLD, mode="text")
    first = {"email": "first@example.com"}
    limited = await world.get(
        "plan_cohort_launch", members=[first, NEW], connection="pricing", max_interviews=1, sample="first"
    )
    assert limited["skipped"] == {"over_limit": 1}
    await world.client.post(urlsplit(answer["opt_out_link"]).path)
    assert await skipped(world) == ["opted_out"] * 4
