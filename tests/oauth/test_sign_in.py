"""The official client signs in by itself, with a person who says yes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)

from tests.console.visitor import Visitor
from tests.mcp.clients import ERAS, Era
from tests.oauth.asking import CHOSEN
from tests.support.harness import World

pytestmark = pytest.mark.e2e

LOOPBACK = "http://localhost:41234/callback"


class Memory:
    """What a client keeps."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Browser:
    """A person who is sent to a page, and the redirect that comes of what they choose."""

    def __init__(self, person: Visitor, **chosen: str) -> None:
        self.person = person
        self.chosen = chosen
        self.asked: list[str] = []
        self._went: asyncio.Queue[str] = asyncio.Queue()

    async def opens(self, url: str) -> None:
        self.asked.append(url)
        await self.person.get(url)
        sent = await self.person.post(url, 303, **self.chosen)
        self._went.put_nowait(sent.headers["location"])

    async def returns(self) -> AuthorizationCodeResult:
        query = parse_qs(urlsplit(await self._went.get()).query)
        return AuthorizationCodeResult(
            code=query.get("code", [""])[0], state=query["state"][0], iss=query["iss"][0]
        )


def provider(world: World, browser: Browser, memory: Memory, redirect: str = LOOPBACK) -> OAuthClientProvider:
    asks = OAuthClientMetadata(redirect_uris=[redirect], client_name="The SDK's client")  # type: ignore[list-item]  # a text, as users write it
    return OAuthClientProvider(
        f"{world.settings.public_url}/mcp", asks, memory, browser.opens, browser.returns
    )


@asynccontextmanager
async def signed_in(world: World, auth: OAuthClientProvider, era: Era = "auto") -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(auth=auth, timeout=30, verify=False) as http,
        Client(
            streamable_http_client(f"{world.settings.public_url}/mcp", http_client=http), mode=era
        ) as client,
    ):
        yield client


@pytest.mark.parametrize("era", ERAS)
async def test_the_official_client_signs_in_and_calls(world: World, person: Visitor, era: Era) -> None:
    browser, memory = Browser(person, **CHOSEN), Memory()
    async with signed_in(world, provider(world, browser, memory), era) as client:
        tools = (await client.list_tools()).tools
        answer = await client.call_tool("list_connections", {})
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
    assert [one["name"] for one in answer.structured_content["items"]] == ["default"]
    assert len(browser.asked) == 1
    assert memory.tokens is not None
    assert memory.tokens.scope == "read"
    assert memory.client is not None
    assert memory.client.token_endpoint_auth_method == "none"


async def test_its_tokens_are_refreshed_without_the_person(world: World, person: Visitor) -> None:
    browser, memory = Browser(person, **CHOSEN), Memory()
    auth = provider(world, browser, memory)
    async with signed_in(world, auth) as client:
        assert memory.tokens is not None
        first = memory.tokens
        world.clock.move(3_601)
        auth.context.token_expiry_time = 1  # the client's own clock stands
        assert (await client.list_tools()).tools
    assert len(browser.asked) == 1
    assert memory.tokens.refresh_token != first.refresh_token


async def test_a_missing_scope_lets_it_ask_the_person_for_more(world: World, person: Visitor) -> None:
    browser, memory = Browser(person, **CHOSEN), Memory()
    async with signed_in(world, provider(world, browser, memory)) as client:
        browser.chosen["scope_write"] = "on"
        answer = await client.call_tool("plan_cohort_launch", {"members": [{"email": "a@example.com"}]})
    assert not answer.is_error, answer.content
    assert len(browser.asked) == 2
    assert memory.tokens is not None
    assert memory.tokens.scope == "read write"


async def test_consent_keeps_its_two_doors(world: World, person: Visitor) -> None:
    browser, memory = Browser(person, **CHOSEN, scope_write="on", scope_send="on"), Memory()
    members = {"members": [{"email": "ana@example.com"}]}
    async with signed_in(world, provider(world, browser, memory), "legacy") as client:
        refused = await client.call_tool("launch_cohort_interviews", members)
        assert refused.is_error
        assert refused.structured_content["code"] == "consent_required"
        planned = await client.call_tool("plan_cohort_launch", {**members, "wait_seconds": 20})
        token = planned.structured_content["plan_token"]
        launched = await client.call_tool("launch_cohort_interviews", {"plan_token": token})
    assert not launched.is_error, launched.content
    assert launched.structured_content["to_invite"] == 1
