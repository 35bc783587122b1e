"""A client of OAuth that a test can let do anything: each step with httpx."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from tests.console.visitor import Visitor
from tests.mcp import raw
from tests.support.harness import World

REDIRECT = "https://assistant.example.com/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CHOSEN = {"do": "allow", "scope_read": "on", "connection_default": "on"}


@dataclass
class Asking:
    """`client_id` is the registered one."""

    world: World
    client: httpx.AsyncClient
    client_id: str = ""

    @classmethod
    @asynccontextmanager
    async def of(cls, world: World) -> AsyncIterator[Self]:
        transport = httpx.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=world.settings.public_url) as client:
            made = cls(world, client)
            made.client_id = (await made.register()).json()["client_id"]
            yield made

    async def register(self, **fields: Any) -> httpx.Response:
        given = {"redirect_uris": [REDIRECT], "client_name": "Assistant", **fields}
        return await self.client.post("/oauth/register", json=given)

    def address(self, **fields: str | None) -> str:
        """Return where the person is sent; None leaves a field out."""
        given = {
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "state": "a state & more",
            "resource": f"{self.world.settings.public_url}/mcp",
            **fields,
        }
        return f"/oauth/authorize?{urlencode({k: v for k, v in given.items() if v is not None})}"

    async def code(self, person: Visitor, chosen: dict[str, str] = CHOSEN, **fields: str | None) -> str:
        """Return the code that a person lets the client have."""
        answer = await self.answer(person, chosen, **fields)
        return answer["code"]

    async def answer(
        self, person: Visitor, chosen: dict[str, str] = CHOSEN, **fields: str | None
    ) -> dict[str, str]:
        """Return what comes back in the redirect when a person sends the form."""
        address = self.address(**fields)
        await person.get(address)
        sent = await person.post(address, 303, **chosen)
        to = urlsplit(sent.headers["location"])
        assert to.netloc == urlsplit(fields.get("redirect_uri") or REDIRECT).netloc, sent.headers["location"]
        return {name: values[0] for name, values in parse_qs(to.query).items()}

    async def redeem(self, code: str, **fields: str | None) -> httpx.Response:
        return await self.token(
            **{"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, **fields}
        )

    async def refresh(self, refresh_token: str, **fields: str | None) -> httpx.Response:
        return await self.token(**{"grant_type": "refresh_token", "refresh_token": refresh_token, **fields})

    async def token(self, **fields: str | None) -> httpx.Response:
        given = {"client_id": self.client_id, "code_verifier": VERIFIER, **fields}
        sent = {name: value for name, value in given.items() if value is not None}
        return await self.client.post("/oauth/token", data=sent)

    async def tokens(self, person: Visitor, chosen: dict[str, str] = CHOSEN) -> dict[str, Any]:
        """Return the tokens that a person lets the client have."""
        answer = await self.redeem(await self.code(person, chosen))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def list_tools(self, access_token: str, query: str = "") -> httpx.Response:
        return await self.mcp(access_token, "tools/list", query=query)

    async def call(
        self, access_token: str, tool: str, query: str = "", /, **arguments: Any
    ) -> httpx.Response:
        params = {"name": tool, "arguments": arguments}
        return await self.mcp(access_token, "tools/call", params, query=query)

    async def mcp(
        self, access_token: str, method: str, params: dict[str, Any] | None = None, *, query: str = ""
    ) -> httpx.Response:
        meta = {
            "io.modelcontextprotocol/protocolVersion": raw.VERSION,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**(params or {}), "_meta": meta}}
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": raw.VERSION,
            "Mcp-Method": method,
            "Authorization": f"Bearer {access_token}",
        }
        if params and "name" in params:
            headers["Mcp-Name"] = params["name"]
        return await self.client.post(f"/mcp{query}", json=body, headers=headers)


def refused(answer: httpx.Response, error: str, status: int = 400) -> str:
    """Check that an answer is OAuth's error; return its description."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.headers["cache-control"] == "no-store"
    description: str = answer.json()["error_description"]
    return description
