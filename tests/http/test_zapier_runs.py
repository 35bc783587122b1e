"""The Zapier app as Zapier's own packages see it: a valid definition whose steps work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from connector.integrations.zapier.app import zapier_app
from connector.operations import OPERATIONS
from connector.service.triggers import TRIGGERS
from tests.support import zapier_node
from tests.support.harness import QUICK, TOKEN, World, message, open_world, serving

pytestmark = [pytest.mark.e2e, pytest.mark.interop, pytest.mark.slow]

FIXTURES = Path(__file__).parents[1] / "fixtures"
AUTH = {"token": TOKEN}
PERSON = {"email": "ada@example.com", "user_id": "user-ada"}


def app_at(url: str) -> dict[str, Any]:
    return zapier_app(OPERATIONS, TRIGGERS, public_url=url, version="0.1.0")


def test_definition_is_valid() -> None:
    app = app_at("https://connector.example.com")
    assert zapier_node.run(FIXTURES / "zapier_validate.js", app) == []


def test_validation_sees_what_is_wrong() -> None:
    app = app_at("https://connector.example.com")
    del app["creates"]["start_interview"]["noun"]
    assert zapier_node.run(FIXTURES / "zapier_validate.js", app) != []


class Zap:
    """Runs steps of the app against a live server."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.app = app_at(url)

    async def steps(self, *steps: tuple[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        told = [[path, {"authData": AUTH, **bundle}] for path, bundle in steps]
        run = zapier_node.run
        answers: list[dict[str, Any]] = await asyncio.to_thread(
            run, FIXTURES / "zapier_run.js", {"app": self.app, "steps": told}
        )
        return answers

    async def step(self, path: str, **bundle: Any) -> dict[str, Any]:
        (answer,) = await self.steps((path, bundle))
        return answer


@pytest.fixture
async def zap(tmp_path: Path) -> AsyncIterator[Zap]:
    await asyncio.to_thread(zapier_node.packages)
    project = QUICK.koji_project_id
    async with (
        open_world(tmp_path, KOJI_PROJECT_ID=project, CONNECTOR_ALLOW_PRIVATE_TARGETS="true") as world,
        serving(world.app) as url,
    ):
        yield Zap(world, url)


async def test_the_token_is_tested_and_labels_the_connection(zap: Zap) -> None:
    good, bad = await zap.steps(
        ("authentication.test", {}), ("authentication.test", {"authData": {"token": "x"}})
    )
    assert good["results"]["account_name"].startswith("koji-amplitude at ")
    assert bad["error"] == "ExpiredAuthError"


async def test_a_create_starts_an_interview_once(zap: Zap) -> None:
    step = (
        "creates.start_interview.operation.perform",
        {"inputData": {**PERSON, "metadata": {"plan": "pro"}}},
    )
    first, again = await zap.steps(step, step)
    assert first["results"]["status"] == "started"
    assert first["results"]["interview_link"]
    assert again["results"]["status"] == "already_invited"


async def test_a_create_takes_line_items_numbers_and_switches(zap: Zap) -> None:
    given = {
        "members": [{"email": "bob@example.com"}, {"user_id": "user-cy"}],
        "wait_seconds": 25,
        "dry_run": True,
    }
    answer = await zap.step("creates.launch_cohort_interviews.operation.perform", inputData=given)
    assert (answer["results"]["status"], answer["results"]["members_total"]) == ("planned", 2)


async def test_an_error_is_one_sentence_about_a_field(zap: Zap) -> None:
    answer = await zap.step(
        "creates.start_interview.operation.perform", inputData={**PERSON, "wait_seconds": 99}
    )
    told = json.loads(answer["message"].splitlines()[0])
    assert told["status"] == 422
    assert told["message"].startswith("wait_seconds")


async def test_a_search_finds_or_finds_nothing(zap: Zap) -> None:
    await zap.world.deliver(message("int-1"))
    await zap.world.ended("int-1")
    search = "searches.get_sync.operation.perform"
    found, listed, nothing, wrong = await zap.steps(
        (search, {"inputData": {"interview_id": "int-1"}}),
        ("searches.list_syncs.operation.perform", {"inputData": {"status": "synced"}}),
        (search, {"inputData": {"interview_id": "int-404"}}),
        (search, {"inputData": {"interview_id": "int-1", "connection": "nowhere"}}),
    )
    assert [(one["id"], one["status"]) for one in found["results"]] == [("int-1", "synced")]
    assert [one["id"] for one in listed["results"]] == ["int-1"]
    assert nothing["results"] == []
    assert "nowhere" in wrong["message"]


async def test_a_hook_is_subscribed_listed_and_ended(zap: Zap) -> None:
    await zap.world.deliver(message("int-1"))
    await zap.world.ended("int-1")
    hook = "triggers.interview_synced.operation"
    bundle = {"targetUrl": "http://127.0.0.1:9/hook", "inputData": {"connection": "default"}}
    made, plain, listed = await zap.steps(
        (f"{hook}.performSubscribe", bundle),
        (f"{hook}.performSubscribe", {"targetUrl": "http://127.0.0.1:9/hook"}),
        (f"{hook}.performList", {"inputData": {}}),
    )
    assert made["results"]["id"] == plain["results"]["id"]
    assert [one["interview_id"] for one in listed["results"]] == ["int-1"]
    sample = zap.app["triggers"]["interview_synced"]["operation"]["sample"]
    assert set(listed["results"][0]) == set(sample)
    hooks = (await zap.world.client.get("/hooks")).json()
    assert [one["event"] for one in hooks] == ["interview_synced"]
    assert (await zap.world.client.get("/triggers/interview_synced?connection=")).json() == listed["results"]
    taken, ended = await zap.steps(
        (f"{hook}.perform", {"cleanedRequest": {"id": "evt_1"}}),
        (f"{hook}.performUnsubscribe", {"subscribeData": made["results"]}),
    )
    assert taken["results"] == [{"id": "evt_1"}]
    assert "error" not in ended
    assert (await zap.world.client.get("/hooks")).json() == []


async def test_drop_downs_have_ids_and_names(zap: Zap) -> None:
    await zap.world.control(
        "POST", "/amplitude/cohorts", {"id": "cohort-1", "name": "Onboarding", "members": []}
    )
    connections, cohorts = await zap.steps(
        ("triggers.connections.operation.perform", {}),
        ("triggers.cohorts.operation.perform", {"inputData": {"connection": "default"}}),
    )
    assert [(one["id"], one["name"]) for one in connections["results"]] == [("default", "default")]
    assert ("cohort-1", "Onboarding") in [(one["id"], one["name"]) for one in cohorts["results"]]
