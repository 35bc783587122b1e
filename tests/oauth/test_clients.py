"""Clients that register themselves, and clients that a document describes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import RedirectResponse, Response

from connector.net.names import Names
from mcp_server.oauth import clients
from tests.console.visitor import Visitor, words
from tests.oauth.asking import CHOSEN, REDIRECT, Asking, refused
from tests.support.harness import World
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.e2e


async def test_a_client_gets_an_id_and_no_secret(asking: Asking) -> None:
    answer = await asking.register(token_endpoint_auth_method="client_secret_post", scope="read mail")
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    given = answer.json()
    assert given["client_id"].startswith("client_")
    assert given["token_endpoint_auth_method"] == "none"
    assert given["redirect_uris"] == [REDIRECT]
    assert given["client_name"] == "Assistant"
    assert "client_secret" not in given


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [REDIRECT, "http://example.com/callback"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_client_metadata"),
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": REDIRECT}, "invalid_client_metadata"),
        ({"redirect_uris": [7]}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"client_name": {"a": 1}}, "invalid_client_metadata"),
    ],
)
async def test_a_wrong_registration(asking: Asking, fields: dict[str, Any], error: str) -> None:
    refused(await asking.register(**fields), error)


async def test_a_registration_is_small_and_is_json(asking: Asking) -> None:
    refused(await asking.register(client_name="x" * 16_384), "invalid_client_metadata", 413)
    refused(await asking.client.post("/oauth/register", content=b"{"), "invalid_client_metadata")
    refused(await asking.client.post("/oauth/register", json=[1, 2]), "invalid_client_metadata")


@pytest.fixture
async def document(world: World) -> AsyncIterator[Receiver]:
    """Yield a server of documents that may be reached, private and plain as it is."""
    await world.restart(CONNECTOR_ALLOW_PRIVATE_TARGETS="true")
    async with receiving() as receiver:
        yield receiver


def described(receiver: Receiver, **fields: Any) -> str:
    """Let the server answer once with a document; return the client id."""
    body = {"client_id": receiver.url, "client_name": "Described", "redirect_uris": [REDIRECT], **fields}
    receiver.answers.append(Response(json.dumps(body), media_type="application/json"))
    return receiver.url


async def test_a_document_describes_a_client(world: World, document: Receiver, person: Visitor) -> None:
    async with Asking.of(world) as asking:
        asking.client_id = described(document)
        text = words(await person.get(asking.address()))
        assert "Let Described use this connector?" in text
        assert f"The document at {document.url} gives this name" in text
        described(document)
        described(document)
        given = await asking.tokens(person)
        assert (await asking.list_tools(given["access_token"])).status_code == 200
    headers, body = document.got[0]
    assert body == b""
    assert "authorization" not in headers
    assert "cookie" not in headers


OTHER = "https://other.example.com/callback"


@pytest.mark.parametrize("then", [{"redirect_uris": [OTHER]}, {"client_name": "Another"}], ids=str)
async def test_what_changed_since_the_page_was_shown_is_not_allowed(
    world: World, document: Receiver, person: Visitor, then: dict[str, Any]
) -> None:
    async with Asking.of(world) as asking:
        asking.client_id = described(document)
        address = asking.address(redirect_uri=None)
        assert "The answer goes to assistant.example.com" in words(await person.get(address))
        described(document, **then)
        sent = await person.post(address, 303, **CHOSEN)
        assert sent.headers["location"] == address
        described(document, **then)
        page = words(await person.get(address))
        assert "What this page showed has changed, so nothing was allowed" in page
    assert await world.context.ledger.grants.listed(0) == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"client_id": "https://other.example.com/client"}, "another client_id"),
        ({"client_secret": "x"}, "shared secret"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "shared secret"),
        ({"redirect_uris": ["http://evil.example.com/"]}, "redirect_uris"),
        ({"redirect_uris": None}, "redirect_uris"),
        ({"client_name": "x" * 16_384}, "no JSON document"),
        (Response("not JSON"), "no JSON document"),
        (Response("[" * 5_000), "no JSON document"),
        (Response(status_code=404), "no JSON document"),
        (RedirectResponse("/elsewhere"), "no JSON document"),
        (Response("[]"), "another client_id"),
    ],
)
async def test_a_document_that_describes_no_client(
    world: World, document: Receiver, person: Visitor, answer: Any, told: str
) -> None:
    async with Asking.of(world) as asking:
        asking.client_id = document.url
        if isinstance(answer, Response):
            document.answers.append(answer)
        else:
            described(document, **answer)
        page = await person.client.get(asking.address(), headers={"Sec-Fetch-Site": "none"})
        assert page.status_code in {400, 422}
        assert told in words(page.text)
    assert len(document.got) == 1


async def test_a_document_that_does_not_come(
    world: World, document: Receiver, person: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "FETCH_SECONDS", 0.05)
    document.gate.clear()
    async with Asking.of(world) as asking:
        asking.client_id = document.url
        assert "in 10 s" in words(await person.get(asking.address(), 422))
    document.gate.set()


@pytest.mark.parametrize(
    "client_id",
    [
        "http://client.example.com/document",
        "https://client.example.com",
        "https://client.example.com/",
        "https://client.example.com/a#b",
        "https://client.example.com/a/../b",
        "https://client.example.com/.well-known/client.json",
        "https://user@client.example.com/a",
        "https://127.0.0.1/document",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/document",
        "https://inside.example.com/document",
    ],
)
async def test_no_document_is_fetched_from_inside(
    asking: Asking, person: Visitor, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def addresses(_names: Names, host: str, _asker: str) -> list[str]:
        return ["10.0.0.1"] if host.endswith("example.com") else [host]

    monkeypatch.setattr(Names, "addresses", addresses)
    asking.client_id = client_id
    assert "client_id" in words(await person.get(asking.address(), 422))


async def test_no_document_is_fetched_for_a_stranger(world: World, document: Receiver) -> None:
    async with Asking.of(world) as asking:
        asking.client_id = document.url
        answer = await asking.client.get(asking.address(), headers={"Sec-Fetch-Site": "none"})
    assert answer.status_code == 303
    assert document.got == []
