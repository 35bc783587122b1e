"""What get_person tells of a person, over which connections, and what it keeps to itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from connector.ledger.db.dialect import is_sqlite
from connector.ledger.db.schema.launches import launch
from connector.service import tokens
from tests.ledger.conftest import desk as desk  # noqa: PLC0414 - a fixture
from tests.ledger.desk import Desk, persons, who
from tests.results.test_overview import explained, statements
from tests.support.harness import QUICK, World, message, open_world

ADA = {"email": "ada@example.com", "user_id": "user-ada"}
SHOP = """
[connections.shop]
koji_api_key = "sandbox-koji-key"
koji_webhook_secret = "shop-secret"
koji_project_id = "sandbox-project"
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, toml=SHOP, KOJI_PROJECT_ID=QUICK.koji_project_id) as opened:
        yield opened


async def invited(world: World, connection: str = "default") -> str | None:
    """Invite the person, and return the external id of the interview."""
    fields = {**ADA, "connection": connection, "wait_seconds": 20}
    assert (await world.get("start_interview", **fields))["status"] == "started"
    return [one.external_id for one in world.sandbox.koji.store.interviews.values()][-1]


@pytest.mark.e2e
async def test_all_is_found_under_every_alias(world: World) -> None:
    external_id = await invited(world)
    await world.deliver(message("int-invited", respondent_email=None, external_id=external_id))
    await world.deliver(message("int-poor", respondent_email="Ada@example.com", quality_score=1))
    await world.ended("int-invited", "int-poor")
    members = [{"user_id": "user-ada"}, {"user_id": "user-other"}]
    plan = await world.get("plan_cohort_launch", members=members)
    found = await world.get("get_person", email="ADA@example.com")
    assert (found["email"], found["user_id"], found["suppressed"]) == ("ADA@example.com", "user-ada", False)
    (invitation,) = found["invitations"]
    assert (invitation["connection"], invitation["state"]) == ("default", "completed")
    assert (invitation["interview_id"], invitation["reason"]) == ("int-invited", None)
    assert str(external_id) in invitation["interview_link"]
    assert invitation["invited_at"].endswith("Z")
    interviews = {one["interview_id"]: one for one in found["interviews"]}
    assert set(interviews) == {"int-invited", "int-poor"}
    assert (interviews["int-poor"]["status"], interviews["int-poor"]["reason"]) == (
        "skipped",
        "below_quality_gate",
    )
    assert interviews["int-invited"]["themes"] == ["pricing confusion", "slow import", "missing export"]
    (skip,) = found["skips"]
    assert (skip["launch_id"], skip["reason"]) == (plan["launch_id"], "already_invited")
    now = {one["connection"]: one for one in found["now"]}
    assert (now["default"]["would"], now["default"]["may_be_asked_at"]) == ("already_invited", None)
    assert now["shop"]["would"] == "invite", "connections have aliases of their own"
    assert now["shop"]["may_be_asked_at"].endswith("Z")
    by_id = await world.get("get_person", user_id="user-ada")
    assert [by_id[name] for name in ("invitations", "interviews", "skips")] == [
        found[name] for name in ("invitations", "interviews", "skips")
    ]


@pytest.mark.e2e
async def test_a_token_sees_only_its_connections(world: World) -> None:
    await invited(world)
    await invited(world, "shop")
    both = await world.get("get_person", **ADA)
    assert [one["connection"] for one in both["invitations"]] == ["default", "shop"]
    one = await world.get("get_person", **ADA, connection="shop")
    assert {row["connection"] for rows in (one["invitations"], one["now"]) for row in rows} == {"shop"}
    token = await tokens.create(world.context, "shop-only", ["read"], ["shop"])
    headers = {"Authorization": f"Bearer {token}"}
    seen = (await world.client.post("/actions/get_person", json=ADA, headers=headers)).json()
    assert seen == one
    named = {**ADA, "connection": "default"}
    assert (await world.client.post("/actions/get_person", json=named, headers=headers)).status_code == 403


@pytest.mark.e2e
async def test_no_anonymous_interview_is_told(world: World) -> None:
    external_id = await invited(world)
    await world.deliver(message("int-named", respondent_email=ADA["email"]))
    await world.ended("int-named")
    hidden = message("int-hidden", respondent_email=ADA["email"], external_id=external_id, anonymous=True)
    await world.deliver(hidden)
    await world.ended("int-hidden")
    await world.deliver(message("int-later", respondent_email=ADA["email"]))
    await world.ended("int-later")
    await world.deliver(message("int-later", respondent_email=None, anonymous=True))
    await world.idle()
    found = await world.get("get_person", **ADA)
    assert "int-hidden" not in json.dumps(found)
    assert [one["interview_id"] for one in found["interviews"]] == ["int-named"]
    assert [one["state"] for one in found["invitations"]] == ["started"]


@pytest.mark.e2e
async def test_of_an_erased_person_nothing_is_told_but_that(world: World) -> None:
    external_id = await invited(world)
    await world.deliver(message("int-1", respondent_email=ADA["email"], external_id=external_id))
    await world.ended("int-1")
    await world.get("forget_respondent", email=ADA["email"], wait_seconds=20)
    for name, value in ADA.items():
        found = await world.get("get_person", **{name: value}, connection="default")
        (now,) = found.pop("now")
        assert (now["would"], now["may_be_asked_at"]) == ("suppressed", None)
        nothing: dict[str, Any] = {"invitations": [], "interviews": [], "skips": []}
        assert found == {"email": None, "user_id": None, name: value, "suppressed": True, **nothing}


@pytest.mark.e2e
async def test_an_unknown_person_is_404_and_no_person_422(world: World) -> None:
    await invited(world)
    unknown = await world.call("get_person", email="nobody@example.com")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert "nobody" not in unknown.text
    for fields in ({}, {"user_id": "N/A"}, {"email": "no address"}):
        assert (await world.call("get_person", **fields)).status_code == 422, fields


@pytest.mark.contract
async def test_a_history_is_read_by_keys_on_both_databases(desk: Desk) -> None:
    ada = who("ada@example.com", "user-ada")
    runs = await desk.launch(ada, *persons(1))
    again = await desk.plan(who(user="user-ada"), who(user="user-none"))
    one = await desk.send()
    await desk.settle(one, "started")
    await desk.came_back(one, "int-1")
    with statements() as asked:
        history = await desk.ledger.persons.find("default", who("ADA@example.com"), trust_external_id=False)
        skips = await desk.ledger.persons.skips(history.person)
    assert [(found.launch_id, found.interview_id) for found in history.invitations] == [(runs.id, "int-1")]
    assert [sync.interview_id for sync in history.interviews] == ["int-1"]
    assert [(skip.launch_id, skip.reason) for skip in skips] == [(again.id, "already_invited")]
    assert history.person.user_ids >= {"user-ada"}
    if is_sqlite(desk.ledger.db._url):
        plans = [step for one_asked in asked for step in await explained(desk, *one_asked)]
        scans = [step for step in plans if step.startswith("SCAN ")]
        assert set(scans) <= {"SCAN launch USING INDEX launch_examples", "SCAN r", "SCAN 1-ROW r"}, scans
    await desk.ledger.db.write(lambda c: c.execute(update(launch).values(examples=None)))
    assert await desk.ledger.persons.skips(history.person) == []
