"""Named tokens: what they open, what they keep shut, and how they end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.domain.access import Token
from connector.http.auth import token_digest
from connector.service.tokens import new_token
from tests.support import toy_server
from tests.support.cli_runs import Machine
from tests.support.harness import World, message, open_world
from tests.support.receiver import arrived, receiving
from tests.support.toy_server import assert_problem

pytestmark = pytest.mark.e2e

TOML = '[connections.shop]\nkoji_api_key = "a-second-key"\n'


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, toml=TOML) as world:
        yield world


async def a_token(
    world: World, *scopes: str, name: str = "zapier", only: tuple[str, ...] | None = None
) -> Any:
    text = new_token()
    made = Token(name, token_digest(text).hex(), scopes, only, world.clock.now())
    assert await world.context.ledger.tokens.create(made)
    return {"Authorization": f"Bearer {text}"}


def stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("ledger.db*"))


async def test_a_scope_opens_its_effect_and_no_other(world: World) -> None:
    reader = await a_token(world, "read")
    assert (await world.client.get("/actions/list_syncs", headers=reader)).status_code == 200
    refused = await world.client.post("/actions/cancel_launch", json={"launch_id": "lau_1"}, headers=reader)
    assert "write" in assert_problem(refused, 403, "missing_scope")["detail"]
    # also when the body is wrong: who may not call it need not learn how
    for content in ("{}", "no json"):
        refused = await world.client.post("/actions/cancel_launch", content=content, headers=reader)
        assert_problem(refused, 403, "missing_scope")
    me = (await world.client.get("/me", headers=reader)).json()
    assert (me["scopes"], me["connections"]) == (["read"], ["default", "shop"])
    writer = await a_token(world, "write", name="robot")
    assert_problem(await world.client.get("/actions/list_syncs", headers=writer), 403, "missing_scope")


async def test_the_scope_is_checked_before_the_body_is_read(world: World) -> None:
    reader = await a_token(world, "read")
    taken: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        taken.append(b"{}")
        yield b"{}"

    refused = await world.client.post("/actions/cancel_launch", content=body(), headers=reader)
    assert_problem(refused, 403, "missing_scope")
    assert taken == []


async def test_a_subscription_needs_the_scope_that_reads(world: World) -> None:
    await world.restart(CONNECTOR_ALLOW_PRIVATE_TARGETS="true")
    wanted = {"target_url": "http://127.0.0.1:9/hook", "event": "interview_synced"}
    writer = await a_token(world, "write")
    refused = await world.client.post("/hooks", json=wanted, headers=writer)
    assert "read" in assert_problem(refused, 403, "missing_scope")["detail"]
    both = await a_token(world, "read", "write", name="both")
    assert (await world.client.post("/hooks", json=wanted, headers=both)).status_code == 201


async def test_a_subscription_is_the_newest_tokens_and_outlives_the_one_before(world: World) -> None:
    await world.restart(CONNECTOR_ALLOW_PRIVATE_TARGETS="true")
    wanted = {"target_url": "http://127.0.0.1:9/hook", "event": "interview_synced"}
    mine, other = [await a_token(world, "read", "write", name=name) for name in ("mine", "other")]
    made = (await world.client.post("/hooks", json=wanted, headers=mine)).json()
    assert made["secret"].startswith("whsec_")
    assert (await world.client.post("/hooks", json=wanted, headers=mine)).json() == made
    found = await world.client.post("/hooks", json=wanted, headers=other)
    assert (found.status_code, found.json()["id"]) == (201, made["id"])
    assert found.json()["secret"] != made["secret"]
    assert await world.context.ledger.tokens.revoke("mine", world.clock.now()) == (0, 0)
    assert (await world.client.post("/hooks", json=wanted, headers=other)).json() == found.json()


async def test_who_may_only_write_sees_counts_and_no_person(world: World) -> None:
    await world.restart(CONNECTOR_ALLOW_PRIVATE_TARGETS="true")
    members = [{"user_id": "ada-lovelace"}, {"user_id": "ada-lovelace"}]
    writer = await a_token(world, "write")
    asked = {"members": members, "allow_without_link": True}
    planned = await world.client.post("/actions/plan_cohort_launch", json=asked, headers=writer)
    assert (planned.json()["to_invite"], planned.json()["skipped"]) == (1, {"duplicate_in_cohort": 1})
    assert planned.json()["skipped_examples"] == []
    assert "ada-lovelace" not in planned.text
    assert (await world.get("plan_cohort_launch", **asked))["skipped_examples"] != []
    launched = await world.get("launch_cohort_interviews", **asked)
    assert launched["invitations"] != []
    called_off = {"launch_id": launched["launch_id"]}
    answer = await world.client.post("/actions/cancel_launch", json=called_off, headers=writer)
    assert answer.json()["invitations"] == []


@pytest.mark.parametrize(
    ("scopes", "shown"), [(("write",), False), (("write", "send"), False), (("write", "read"), True)]
)
async def test_values_of_people_are_shown_to_who_may_read(
    world: World, scopes: tuple[str, ...], *, shown: bool
) -> None:
    caller = await a_token(world, *scopes)
    members = [{"user_id": "ada-lovelace", "properties": {"team": "analytical-engines"}}]
    quota = {"property": "team", "per_value": 2}
    asked = {"members": members, "allow_without_link": True, "quota": quota, "segment_by": "team"}
    key = {"idempotency_key": "one"}
    for given in (asked, {**asked, **key}, {**asked, **key}):
        planned = await world.client.post("/actions/plan_cohort_launch", json=given, headers=caller)
        assert planned.json()["to_invite"] == 1
        assert bool(planned.json()["quota_cells"]) == bool(planned.json()["segments"]) == shown
        assert any("quota" in warning for warning in planned.json()["warnings"]) == shown
        assert ("analytical-engines" in planned.text) == shown
    called_off = {"launch_id": planned.json()["launch_id"]}
    answer = await world.client.post("/actions/cancel_launch", json=called_off, headers=caller)
    assert ("analytical-engines" in answer.text) == shown


@pytest.mark.parametrize(
    ("headers", "may"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8080"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8080"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "http://127.0.0.1:8080"}, True),
        ({"Origin": "https://pages.example.com"}, True),
        ({}, True),
    ],
    ids=str,
)
async def test_pages_of_other_sites_may_not_call(world: World, headers: dict[str, str], *, may: bool) -> None:
    await world.restart(CONNECTOR_ALLOWED_ORIGINS="https://pages.example.com")
    for method, path in (("GET", "/actions/list_syncs"), ("GET", "/me"), ("POST", "/actions/list_syncs")):
        answer = await world.client.request(method, path, headers=headers)
        assert answer.status_code == (200 if may else 403)
    hooked = await world.client.delete("/hooks?target_url=https://hooks.example.com", headers=headers)
    if may:
        assert hooked.status_code == 200
    else:
        assert_problem(hooked, 403, "cross_site")


async def test_the_token_of_the_settings_may_do_everything(world: World) -> None:
    me = (await world.client.get("/me")).json()
    assert (me["scopes"], me["connections"]) == (["read", "write", "send", "erase"], ["default", "shop"])


async def test_other_connections_are_refused_whether_or_not_they_exist(world: World) -> None:
    shop = await a_token(world, "read", "write", only=("shop", "gone"))
    assert (await world.client.get("/actions/list_syncs?connection=shop", headers=shop)).status_code == 200
    told = []
    for name in ("default", "nowhere"):
        refused = await world.client.get(f"/actions/list_syncs?connection={name}", headers=shop)
        told.append(assert_problem(refused, 403, "other_connection")["detail"].replace(name, "X"))
    assert told[0] == told[1]
    unknown = await world.client.get("/actions/list_syncs?connection=gone", headers=shop)
    assert "default" not in assert_problem(unknown, 404, "unknown_connection")["detail"]
    assert (await world.client.get("/me", headers=shop)).json()["connections"] == ["shop"]


async def test_connections_are_listed_without_naming_one(world: World) -> None:
    shop = await a_token(world, "read", only=("shop",))
    listed = (await world.client.get("/actions/list_connections", headers=shop)).json()
    assert [one["id"] for one in listed["items"]] == ["shop"]
    named = await world.client.get("/actions/list_connections?connection=default", headers=shop)
    assert_problem(named, 403, "other_connection")
    assert len((await world.get("list_connections"))["items"]) == 2


async def test_what_belongs_to_another_connection_is_not_there(world: World) -> None:
    planned = await world.get(
        "plan_cohort_launch", members=[{"user_id": "ada-lovelace"}], allow_without_link=True
    )
    run = await world.get("backfill_interviews", interview_ids=["int_none"], wait_seconds=0)
    shop = await a_token(world, "read", "write", "send", only=("shop",))
    for operation, fields in (
        ("get_launch", {"launch_id": planned["launch_id"]}),
        ("cancel_launch", {"launch_id": planned["launch_id"]}),
        ("resume_launch", {"launch_id": planned["launch_id"]}),
        ("get_run", {"run_id": run["run_id"]}),
        ("get_sync", {"interview_id": "int_none"}),
    ):
        asked = {**fields, "connection": "shop"}
        answer = await world.client.post(f"/actions/{operation}", json=asked, headers=shop)
        assert_problem(answer, 404, "not_found")
    taken = {"plan_token": planned["plan_token"], "connection": "shop"}
    answer = await world.client.post("/actions/launch_cohort_interviews", json=taken, headers=shop)
    assert_problem(answer, 422, "plan_mismatch")


async def test_revoking_holds_at_once(world: World) -> None:
    reader = await a_token(world, "read")
    assert (await world.client.get("/me", headers=reader)).status_code == 200
    await world.context.ledger.tokens.revoke("zapier", world.clock.now())
    assert_problem(await world.client.get("/me", headers=reader), 401, "unauthenticated")


async def test_the_command_line_makes_shows_and_ends_tokens(world: World, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    machine = Machine(home, {"DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.db'}"})
    made = machine.run("token", "create", "zapier", "--scopes", "send,read", "--connections", "default")
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    assert text.startswith("kat_")
    header = {"X-API-Key": text}
    assert (await world.client.get("/me", headers={**header, "Authorization": ""})).json()["scopes"] == [
        "read",
        "send",
    ]
    listed = machine.run("token", "list", "--output", "json")
    [one] = json.loads(listed.stdout)["items"]
    assert (one["name"], one["scopes"], one["connections"], one["revoked"]) == (
        "zapier",
        ["read", "send"],
        ["default"],
        None,
    )
    assert "zapier" in machine.run("token", "list").stdout
    assert text not in listed.stdout
    assert text.encode() not in stored(tmp_path)
    assert machine.run("token", "create", "zapier", "--scopes", "read").returncode == 3
    assert machine.run("token", "revoke", "zapier").returncode == 0
    assert machine.run("token", "revoke", "nobody").returncode == 3
    answer = await world.client.get("/me", headers={**header, "Authorization": ""})
    assert_problem(answer, 401, "unauthenticated")


async def test_what_a_token_subscribed_ends_with_it(world: World, tmp_path: Path) -> None:
    await world.restart(CONNECTOR_ALLOW_PRIVATE_TARGETS="true")
    home = tmp_path / "home"
    home.mkdir()
    machine = Machine(home, {"DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.db'}"})
    zapier = await a_token(world, "read", "write")
    async with receiving() as theirs, receiving() as ours:
        for receiver, headers in ((theirs, zapier), (ours, None)):
            wanted = {"target_url": receiver.url, "event": "interview_synced"}
            assert (await world.client.post("/hooks", json=wanted, headers=headers)).status_code == 201
        revoked = machine.run("token", "revoke", "zapier")
        assert "The token zapier is revoked; subscriptions ended: 1, callbacks: 0." in revoked.stderr
        assert [one["target_url"] for one in (await world.client.get("/hooks")).json()] == [ours.url]
        await world.deliver(message("int-1"))
        await arrived(ours, 1)
        await world.idle()
        assert theirs.got == []


async def test_what_the_api_token_subscribed_stays_when_its_value_changes(world: World) -> None:
    await world.restart(CONNECTOR_ALLOW_PRIVATE_TARGETS="true")
    wanted = {"target_url": "http://127.0.0.1:9/hook", "event": "interview_synced"}
    assert (await world.client.post("/hooks", json=wanted)).status_code == 201
    await world.restart(CONNECTOR_API_TOKEN="another-token-of-the-tests")
    assert len(await world.context.ledger.hooks.listed(["default"], None)) == 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["destroy"],
        ["create", "robot"],
        ["create", "robot", "--scopes", "everything"],
        ["create", "robot", "--scopes", ","],
        ["create", "robot", "--scopes", "read", "--connections", "nowhere"],
        ["create", "cli", "--scopes", "read"],
        ["create", "two words", "--scopes", "read"],
    ],
)
def test_a_token_that_cannot_be_meant_is_told_in_one_line(tmp_path: Path, words: list[str]) -> None:
    ran = Machine(tmp_path).run("token", *words)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert len([line for line in ran.stderr.splitlines() if line.startswith("error")]) == 1


def test_an_unknown_scope_is_refused_by_name(tmp_path: Path) -> None:
    ran = Machine(tmp_path).run("token", "create", "robot", "--scopes", "read,sned,send")
    assert ran.returncode == 2
    assert "scopes: there is no sned; take some of: read, write, send, erase" in ran.stderr


async def test_who_goes_on_failing_waits_and_a_good_token_does_not() -> None:
    small = toy_server.World()
    small.gate.set()
    async with toy_server.serve(small) as client:
        for _ in range(12):
            wrong: httpx.Response = await client.get("/me", headers={"X-API-Key": "wrong"})
            assert_problem(wrong, 401, "unauthenticated")
        assert small.slept == [0.1, 0.2]
        assert (await client.get("/me", headers={"X-API-Key": toy_server.TOKEN})).status_code == 200
        assert small.slept == [0.1, 0.2]
