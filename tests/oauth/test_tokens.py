"""Codes and tokens: how long, how often, for which client, and what ends them."""

from __future__ import annotations

from typing import Any

import pytest

from connector.domain.access import Token
from connector.http.auth import token_digest
from connector.service.tokens import new_token
from tests.console.visitor import Visitor, visiting
from tests.oauth.asking import CHOSEN, Asking, refused
from tests.support.harness import World

pytestmark = pytest.mark.e2e

DAY = 86_400


async def opens(asking: Asking, access_token: str) -> bool:
    status = (await asking.list_tools(access_token)).status_code
    assert status in {200, 401}
    return status == 200


async def test_a_code_gives_tokens_once(asking: Asking, person: Visitor) -> None:
    code = await asking.code(person)
    given = (await asking.redeem(code)).json()
    assert given["token_type"] == "Bearer"
    assert given["expires_in"] == 3_600
    assert given["scope"] == "read"
    assert await opens(asking, given["access_token"])
    refused(await asking.redeem(code), "invalid_grant")
    assert not await opens(asking, given["access_token"])
    refused(await asking.refresh(given["refresh_token"]), "invalid_grant")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": "v" * 42}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "https://assistant.example.com/other"}, "invalid_grant"),
        ({"client_id": "client_unknown"}, "invalid_client"),
        ({"client_id": "https://client.example.com/document"}, "invalid_grant"),
        ({"client_id": None}, "invalid_request"),
        ({"code": "kac_guessed"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"resource": "https://other.example.com/mcp"}, "invalid_target"),
    ],
)
async def test_a_stolen_code_is_of_no_use(
    asking: Asking, person: Visitor, changed: dict[str, str | None], error: str
) -> None:
    code = await asking.code(person)
    refused(await asking.redeem(**{"code": code, **changed}), error)  # type: ignore[arg-type]  # one argument is the code
    assert (await asking.redeem(code)).status_code == 200


async def test_a_code_lives_a_minute(world: World, asking: Asking, person: Visitor) -> None:
    code = await asking.code(person)
    world.clock.move(61)
    refused(await asking.redeem(code), "invalid_grant")


async def test_an_access_token_lives_an_hour_and_a_refresh_token_a_month(
    world: World, asking: Asking, person: Visitor
) -> None:
    first = await asking.tokens(person)
    world.clock.move(3_601)
    assert not await opens(asking, first["access_token"])
    second = (await asking.refresh(first["refresh_token"])).json()
    assert await opens(asking, second["access_token"])
    world.clock.move(29 * DAY)
    third = (await asking.refresh(second["refresh_token"], scope="read unknown")).json()
    assert await opens(asking, third["access_token"])
    world.clock.move(30 * DAY + 1)
    refused(await asking.refresh(third["refresh_token"]), "invalid_grant")


async def test_a_replayed_refresh_token_ends_its_family(
    world: World, asking: Asking, person: Visitor
) -> None:
    first = await asking.tokens(person)
    second = (await asking.refresh(first["refresh_token"])).json()
    other = (await asking.register()).json()["client_id"]
    refused(await asking.refresh(first["refresh_token"], client_id=other), "invalid_grant")
    assert await opens(asking, second["access_token"])
    refused(await asking.refresh(first["refresh_token"]), "invalid_grant")
    assert not await opens(asking, second["access_token"])
    refused(await asking.refresh(second["refresh_token"]), "invalid_grant")
    last = (await world.get("list_audit"))["items"][0]
    assert (last["operation"], last["surface"], last["outcome"]) == ("end_grant", "mcp", "used_twice")


async def test_a_program_of_this_machine_that_signs_in_again_has_one_grant(
    world: World, asking: Asking, person: Visitor
) -> None:
    redirect = "http://localhost:41234/callback"
    asking.client_id = (await asking.register(redirect_uris=[redirect])).json()["client_id"]

    async def signed_in(by: Visitor) -> str:
        answer = await asking.redeem(await asking.code(by, redirect_uri=redirect), redirect_uri=redirect)
        return str(answer.json()["access_token"])

    text = new_token()
    await world.context.ledger.tokens.create(Token("ana", token_digest(text).hex(), ("read",), None, 0))
    async with visiting(world.app, world.settings.public_url) as ana:
        await ana.sign_in(text)
        hers = await signed_in(ana)
    first, waiting = await signed_in(person), await asking.code(person, redirect_uri=redirect)
    assert await opens(asking, first)  # a code alone replaces nothing
    second = (await asking.redeem(waiting, redirect_uri=redirect)).json()["access_token"]
    assert [await opens(asking, one) for one in (hers, first, second)] == [True, False, True]
    assert [one.token_name for one in await world.context.ledger.grants.listed(0)] == ["ana", "token"]
    (ended,) = [e for e in (await world.get("list_audit"))["items"] if e["operation"] == "end_grant"]
    assert (ended["surface"], ended["outcome"]) == ("mcp", "replaced")


async def test_people_may_share_the_registration_of_a_hosted_assistant(
    asking: Asking, person: Visitor
) -> None:
    both = [await asking.tokens(person) for _ in range(2)]
    assert [await opens(asking, given["access_token"]) for given in both] == [True, True]


async def test_no_refresh_gains_a_scope(asking: Asking, person: Visitor) -> None:
    given = await asking.tokens(person)
    assert "read" in refused(await asking.refresh(given["refresh_token"], scope="read send"), "invalid_scope")
    assert (await asking.refresh(given["refresh_token"])).json()["scope"] == "read"


async def revoke(asking: Asking, **fields: str) -> None:
    answer = await asking.client.post("/oauth/revoke", data={"client_id": asking.client_id, **fields})
    assert answer.status_code == 200, answer.text


async def test_a_client_without_a_secret_revokes(asking: Asking, person: Visitor) -> None:
    given = await asking.tokens(person)
    await revoke(asking, token=given["refresh_token"], client_id="client_other")
    await revoke(asking, token="unknown", token_type_hint="access_token")
    assert await opens(asking, given["access_token"])
    await revoke(asking, token=given["access_token"])
    assert not await opens(asking, given["access_token"])
    again = (await asking.refresh(given["refresh_token"])).json()
    await revoke(asking, token=again["refresh_token"])
    assert not await opens(asking, again["access_token"])
    refused(await asking.client.post("/oauth/revoke", data={"token": "x"}), "invalid_request")


async def test_a_grant_ends_with_the_named_token(world: World, asking: Asking) -> None:
    text = new_token()
    token = Token("ana", token_digest(text).hex(), ("read", "send"), ("default",), 0)
    await world.context.ledger.tokens.create(token)
    async with visiting(world.app, world.settings.public_url) as ana:
        await ana.sign_in(text)
        given = await asking.tokens(ana)
    assert await opens(asking, given["access_token"])
    await world.context.ledger.tokens.revoke("ana", 1)
    assert not await opens(asking, given["access_token"])
    refused(await asking.refresh(given["refresh_token"]), "invalid_grant")
    assert await world.context.ledger.grants.listed(0) == []


async def test_a_grant_ends_with_the_api_token(world: World, person: Visitor) -> None:
    async with Asking.of(world) as asking:
        given = await asking.tokens(person)
    await world.restart(CONNECTOR_API_TOKEN="another-token-of-the-tests")
    async with Asking.of(world) as asking:
        assert not await opens(asking, given["access_token"])


async def test_access_tokens_open_mcp_alone(world: World, asking: Asking, person: Visitor) -> None:
    every = {**CHOSEN, **{f"scope_{scope}": "on" for scope in ("write", "send", "erase")}}
    given = await asking.tokens(person, every)
    for text in (given["access_token"], given["refresh_token"]):
        headers = {"Authorization": f"Bearer {text}"}
        for path in ("/me", "/actions/list_connections", "/metrics", "/hooks"):
            assert (await asking.client.get(path, headers=headers)).status_code == 401
        signed = await asking.client.post("/console/session", data={"token": text})
        assert signed.status_code == 401
    for headers in (
        {"X-API-Key": given["access_token"]},
        {"Authorization": f"Bearer {given['refresh_token']}"},
    ):
        assert (await asking.client.post("/mcp", headers=headers, json={})).status_code == 401


async def test_nothing_is_stored_that_opens_anything(world: World, asking: Asking, person: Visitor) -> None:
    code = await asking.code(person)
    given = (await asking.redeem(code)).json()
    stored = b"".join(path.read_bytes() for path in world.folder.rglob("*ledger.db*"))
    assert asking.client_id.encode() in stored
    for secret in (code, given["access_token"], given["refresh_token"]):
        assert secret.encode() not in stored


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"content": b"x" * 16_385, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 413),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": b"a", "headers": {"Content-Type": "text/csv"}}, 415),
        ({"content": b"grant_type=refresh_token&grant_type=refresh_token"}, 400),
    ],
)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
async def test_bodies_that_cannot_be_read(
    asking: Asking, path: str, sent: dict[str, Any], status: int
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(await asking.client.post(path, **{"headers": headers, **sent}), "invalid_request", status)
