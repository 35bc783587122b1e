"""What check_connection says of each credential and address, and the one next step."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from connector.sandbox import SandboxOptions, create_sandbox
from tests.support.harness import QUICK, World, message, open_world, serving

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    url = "https://connector.example.com"
    async with open_world(tmp_path, PUBLIC_URL=url, KOJI_PROJECT_ID="sandbox-project") as one:
        yield one


async def checks(world: World, connection: str = "default") -> dict[str, tuple[str, str]]:
    found = await world.get("check_connection", connection=connection)
    assert found["ok"] is all(one["status"] != "fail" for one in found["checks"])
    assert all(one["message"].endswith((".", "!")) for one in found["checks"]), found["checks"]
    for secret in ("sandbox-koji-key", "sandbox-amplitude-key", "sandbox-amplitude-secret", "a-wrong-one"):
        assert secret not in json.dumps(found)
    return {one["name"]: (one["status"], one["message"]) for one in found["checks"]}


async def test_all_is_well_once_a_webhook_came(world: World) -> None:
    before = await world.get("check_connection")
    assert (before["ok"], before["next_step"].startswith("No webhook has come yet.")) == (True, True)
    assert "https://connector.example.com/webhooks/koji" in before["next_step"]
    await world.deliver(message("int-1"))
    await world.ended("int-1")
    found = await world.get("check_connection")
    assert {one["status"] for one in found["checks"]} == {"ok"}
    assert found["next_step"] == "Nothing: everything is in order."
    assert "x-koji-signature (hex)" in next(
        c["message"] for c in found["checks"] if c["name"] == "koji_webhook"
    )
    assert world.sandbox.amplitude.store.counts.keys() == {"$identify", "koji.interview_completed"}


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("KOJI_API_KEY", "koji_api_key"),
        ("AMPLITUDE_API_KEY", "amplitude_api_key"),
        ("AMPLITUDE_SECRET_KEY", "amplitude_secret_key"),
        ("KOJI_WEBHOOK_SECRET", "koji_webhook"),
        ("KOJI_PROJECT_ID", "koji_project_id"),
    ],
)
async def test_a_setting_that_is_missing_is_named(world: World, setting: str, name: str) -> None:
    await world.reconfigure({setting: ""})
    status, message = (await checks(world))[name]
    assert status == ("warn" if setting in ("AMPLITUDE_SECRET_KEY", "KOJI_PROJECT_ID") else "fail")
    assert setting in message


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("KOJI_API_KEY", "koji_api_key"),
        ("AMPLITUDE_API_KEY", "amplitude_api_key"),
        ("AMPLITUDE_SECRET_KEY", "amplitude_secret_key"),
    ],
)
async def test_a_wrong_credential_fails_and_is_named(world: World, setting: str, name: str) -> None:
    await world.reconfigure({setting: "a-wrong-one"})
    status, message = (await checks(world))[name]
    assert (status, setting in message) == ("fail", True)


async def test_a_key_without_the_permission_to_read_is_told_which(world: World) -> None:
    await world.control("POST", "/koji/switches", {"permissions": ["interview:start"]})
    status, message = (await checks(world))["koji_api_key"]
    assert (status, "interview:read" in message) == ("fail", True)


async def test_a_base_url_that_redirects_is_named_with_the_right_one(world: World) -> None:
    await world.control("POST", "/koji/switches", {"redirect_to": "https://www.koji.example.com"})
    status, message = (await checks(world))["koji_api_key"]
    assert status == "fail"
    assert "set KOJI_BASE_URL to https://www.koji.example.com" in message


async def test_an_ingestion_url_that_redirects_is_named(world: World) -> None:
    await world.fault("amplitude", "redirect", location="https://elsewhere.example.com/2/httpapi")
    status, message = (await checks(world))["amplitude_api_key"]
    assert status == "fail"
    assert "AMPLITUDE_INGESTION_URL" in message
    assert "AMPLITUDE_API_KEY" not in message


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"KOJI_BASE_URL": "http://127.0.0.1:9"}, ["koji_api_key"]),
        ({"AMPLITUDE_INGESTION_URL": "http://127.0.0.1:9"}, ["amplitude_api_key"]),
        ({"AMPLITUDE_REST_URL": "http://127.0.0.1:9"}, ["amplitude_secret_key"]),
    ],
)
async def test_what_cannot_be_reached_is_unknown_not_wrong(
    world: World, settings: dict[str, str], names: list[str]
) -> None:
    await world.reconfigure(settings)
    found = await checks(world)
    assert [found[name][0] for name in names] == ["unknown"] * len(names)
    assert [name for name, (status, _) in found.items() if status == "unknown"] == names


@respx.mock(assert_all_called=False)
async def test_a_key_of_the_other_region_is_recognised(respx_mock: respx.MockRouter, tmp_path: Path) -> None:
    respx_mock.route(host="127.0.0.1").pass_through()
    respx_mock.post("https://api2.amplitude.com/2/httpapi").mock(
        httpx.Response(400, json={"code": 400, "error": "Invalid API key: 0123"})
    )
    missing = {
        "code": 400,
        "error": "Request missing required field",
        "events_with_missing_fields": {"event_type": [0]},
    }
    respx_mock.post("https://api.eu.amplitude.com/2/httpapi").mock(httpx.Response(400, json=missing))
    for host in ("amplitude.com", "analytics.eu.amplitude.com"):
        respx_mock.get(f"https://{host}/api/2/usersearch").mock(httpx.Response(401))
    async with open_world(tmp_path, AMPLITUDE_INGESTION_URL="", AMPLITUDE_REST_URL="") as world:
        found = await checks(world)
        assert found["amplitude_api_key"] == (
            "fail",
            "The key belongs to the other region: set AMPLITUDE_REGION=eu.",
        )
        assert found["amplitude_secret_key"][0] == "fail"
        await world.restart(AMPLITUDE_REGION="eu")
        assert (await checks(world))["amplitude_api_key"][0] == "ok"


async def test_each_connection_is_checked_with_its_own_credentials(tmp_path: Path) -> None:
    other = create_sandbox(SandboxOptions(koji_api_key="second-koji", amplitude_api_key="second-amplitude"))
    async with other.router.lifespan_context(other), serving(other) as url:
        toml = f"""
[connections.second]
koji_api_key = "second-koji"
koji_base_url = "{url}/koji"
koji_webhook_secret = "second-secret"
amplitude_api_key = "second-amplitude"
amplitude_ingestion_url = "{url}/amplitude"
[connections.third]
koji_api_key = "second-koji"
koji_base_url = "{url}/koji"
amplitude_api_key = "a-wrong-one"
amplitude_ingestion_url = "{url}/amplitude"
"""
        async with open_world(tmp_path, options=QUICK, toml=toml) as world:
            second, third = await checks(world, "second"), await checks(world, "third")
            assert (second["koji_api_key"][0], second["amplitude_api_key"][0]) == ("ok", "ok")
            assert (third["koji_api_key"][0], third["amplitude_api_key"][0]) == ("ok", "fail")
            assert "KOJI_WEBHOOK_SECRET" in third["koji_webhook"][1]
            await world.send(message("int-1"), secret="second-secret")
            await world.ended("int-1", connection="second")
            counted: dict[str, Any] = other.state.sandbox.amplitude.store.counts
            assert counted["koji.interview_completed"] == 1
            assert world.completed() == []
            answer = await world.call("check_connection", connection="fourth")
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_connection")


async def test_failures_and_waiting_reads_are_counted(world: World) -> None:
    await world.deliver(message("int-1", respondent_email="null"), message("int-2", 2))
    await world.ended("int-1", "int-2")
    status, shown = (await checks(world))["syncs"]
    assert status == "warn"
    assert "1 failed" in shown
    assert "1 synced" in shown
    assert "List the failed ones to see why, then replay them." in shown
