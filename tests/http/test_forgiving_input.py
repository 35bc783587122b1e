"""Forgiving in: each platform's way of writing a request means the same as plain JSON with a bearer token."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.harness import TOKEN, World, message, open_world

pytestmark = pytest.mark.e2e

BEARER = {"Authorization": f"Bearer {TOKEN}"}
API_KEY = {"X-API-Key": TOKEN}
BASIC = {"Authorization": "Basic " + base64.b64encode(f"anybody:{TOKEN}".encode()).decode()}
BOUNDARY = "----form"


class Form(NamedTuple):
    """How a platform writes a request: with which credential, as which type, and the bytes."""

    platform: str
    credential: Mapping[str, str]
    content_type: str | None
    body: bytes


def as_json(platform: str, value: Any, credential: Mapping[str, str] = BEARER) -> Form:
    return Form(platform, credential, "application/json", json.dumps(value).encode())


def as_form(platform: str, pairs: Any, credential: Mapping[str, str] = BEARER) -> Form:
    return Form(platform, credential, "application/x-www-form-urlencoded", urlencode(pairs).encode())


def as_parts(platform: str, pairs: Any, credential: Mapping[str, str] = BEARER) -> Form:
    parts = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in pairs
    )
    body = f"{parts}--{BOUNDARY}--\r\n".encode()
    return Form(platform, credential, f"multipart/form-data; boundary={BOUNDARY}", body)


# a list, a number, a true and a text: what tools write in the most ways
RESULT: dict[str, Any] = {
    "interview_id": "int-1",
    "respondent_email": "person-001@example.com",
    "themes": ["pricing confusion", "slow import"],
    "quality_score": 4,
    "sentiment": "negative",
    "completed_at": "2026-11-20T10:00:00Z",
    "dry_run": True,
}
TEXTS = {**RESULT, "quality_score": "4", "dry_run": "true", "themes": "pricing confusion, slow import"}
# the same result as one object, whose fields stand under it
INTERVIEW = {name: value for name, value in RESULT.items() if name != "dry_run"}
DEEP = {f"interview__{name}": value for name, value in INTERVIEW.items()} | {"dry_run": True}
REPEATED = [*((k, v) for k, v in TEXTS.items() if k != "themes"), *(("themes", v) for v in RESULT["themes"])]
BRACKETS = [(f"{k}[]" if k == "themes" else k, v) for k, v in REPEATED]

ACTIONS = [
    as_json("Zapier, Webhooks POST, payload type json", RESULT),
    as_json("Zapier, the same with Basic Auth user|pass", RESULT, BASIC),
    as_json("Zapier, Wrap Request In Array", [RESULT]),
    as_json("Zapier, Unflatten no: a__b keys as they are", DEEP),
    as_json("Zapier, mapped fields: everything is text", TEXTS),
    as_form("Zapier, payload type form", TEXTS, BASIC),
    as_form("Zapier, payload type form with a__b keys", {**DEEP, "interview__themes": TEXTS["themes"]}),
    as_json("Make, HTTP with an API key", RESULT, API_KEY),
    as_form("Make, HTTP, form, a list as name[]", BRACKETS, API_KEY),
    as_parts("Make, HTTP, multipart", TEXTS.items(), API_KEY),
    as_json("n8n, HTTP Request, JSON from fields", {**TEXTS, "force": "", "wait_seconds": None}, API_KEY),
    as_form("n8n, HTTP Request, form, a list as repeated names", REPEATED),
    as_parts("n8n, HTTP Request, form data", REPEATED),
    as_form("Census, HTTP Request, url-encoded", {**TEXTS, "dry_run": "1"}, API_KEY),
    as_json("Hightouch, HTTP Request, a batch of one row", [TEXTS]),
    Form("a script that names no type", BEARER, None, json.dumps(RESULT).encode()),
]

HOOK = {"target_url": "http://127.0.0.1:9/hook", "event": "interview_synced"}
HOOKS = [
    as_json("Zapier, performSubscribe of the exported app", HOOK, API_KEY),
    as_json(
        "Zapier, an app that names the target targetUrl",
        {"targetUrl": HOOK["target_url"], "event": HOOK["event"]},
    ),
    as_json("Zapier, Wrap Request In Array", [HOOK], BASIC),
    as_form("Zapier, payload type form", HOOK, BASIC),
    as_json("Make, attach by HTTP with an API key", {**HOOK, "connection": ""}, API_KEY),
    as_form("Make, HTTP, form", HOOK, API_KEY),
    as_parts("n8n, HTTP Request, form data", HOOK.items()),
    as_json("Pipedream, a source's activate", HOOK),
]

READS = [
    ("Zapier, Retrieve Poll: Basic Auth only", BASIC, "/triggers/interview_synced"),
    ("Zapier, a test of the connection", API_KEY, "/me"),
    ("Make, HTTP on a schedule", API_KEY, "/triggers/interview_synced?limit=10"),
    ("n8n, checkExists of a trigger node", BEARER, "/hooks?target_url=http%3A%2F%2F127.0.0.1%3A9%2Fhook"),
    ("Power Automate, polling a status", BEARER, "/actions/list_syncs?limit=5&status="),
    ("Zapier, an action's GET with empty fields", BASIC, "/actions/get_sync?interview_id=int-0&connection="),
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, CONNECTOR_ALLOW_PRIVATE_TARGETS="true") as opened:
        del opened.client.headers["Authorization"]
        yield opened


async def post(world: World, path: str, form: Form) -> httpx.Response:
    headers = {**form.credential, **({"Content-Type": form.content_type} if form.content_type else {})}
    return await world.client.post(path, content=form.body, headers=headers)


@pytest.mark.parametrize("form", ACTIONS, ids=lambda form: form.platform)
async def test_an_action_however_it_is_written(world: World, form: Form) -> None:
    path = "/actions/sync_interview_to_amplitude"
    plain = (await post(world, path, as_json("plain", RESULT))).json()
    answer = await post(world, path, form)
    assert answer.status_code == 200, answer.text
    assert answer.json() == plain
    event = plain["request"]["events"][-1]
    assert (event["event_properties"]["quality_score"], event["event_properties"]["themes"]) == (
        4,
        RESULT["themes"],
    )
    assert world.requests == [], "dry_run was heard"


@pytest.mark.parametrize("form", HOOKS, ids=lambda form: form.platform)
async def test_a_subscription_however_it_is_written(world: World, form: Form) -> None:
    plain = (await post(world, "/hooks", as_json("plain", HOOK))).json()
    answer = await post(world, "/hooks", form)
    assert answer.status_code == 201, answer.text
    assert answer.json() == plain, "the same target and event is the same subscription"


@pytest.mark.parametrize(("platform", "credential", "path"), READS, ids=[one[0] for one in READS])
async def test_a_read_however_it_is_asked_for(
    world: World, platform: str, credential: Mapping[str, str], path: str
) -> None:
    await world.deliver(message("int-0"))
    world.client.headers.update(BEARER)
    await world.ended("int-0")
    expected = (await world.client.get(path)).json()
    del world.client.headers["Authorization"]
    answer = await world.client.get(path, headers=credential)
    assert answer.status_code == 200, (platform, answer.text)
    assert answer.json() == expected


@pytest.mark.parametrize("credential", [BEARER, API_KEY, BASIC], ids=["Pipedream", "Make", "Zapier"])
async def test_a_subscription_ends_by_its_target(world: World, credential: Mapping[str, str]) -> None:
    """Some tools keep no id: they name the address, and may do so twice."""
    await post(world, "/hooks", as_json("plain", HOOK))
    for _ in range(2):
        ended = await world.client.delete(
            "/hooks", params={"target_url": HOOK["target_url"]}, headers=credential
        )
        assert (ended.status_code, ended.json()) == (200, {})
    assert (await world.client.get("/hooks", headers=credential)).json() == []


@pytest.mark.parametrize(
    "path", ["/actions/sync_interview_to_amplitude", "/hooks", "/triggers/interview_synced"]
)
async def test_an_unknown_field_is_refused_by_name_in_every_form(world: World, path: str) -> None:
    forms = (
        as_json("json", {"emial": "a"}),
        as_form("form", {"emial": "a"}),
        as_parts("parts", [("emial", "a")]),
    )
    if path.startswith("/triggers"):
        answers = [await world.client.get(f"{path}?emial=a", headers=BEARER)]
    else:
        answers = [await post(world, path, form) for form in forms]
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert "/emial" in {one["pointer"] for one in answer.json()["errors"]}
