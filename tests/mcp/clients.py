"""The official client over both transports and in both eras, beside one sandbox."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

from connector.context import Context
from connector.security.caller import LOCAL_ASSISTANT
from mcp_server.host import Host
from mcp_server.server import create_server
from tests.support.harness import QUICK, TOKEN, World, serving
from tests.support.preloaded import command

Era = Literal["auto", "legacy"]
PROJECT = QUICK.koji_project_id
ERAS: tuple[Era, ...] = ("auto", "legacy")
"""MCP 2026-07-28, which the client prefers, and the handshake before it."""
WAYS = [(transport, era) for transport in ("stdio", "http") for era in ERAS]
SETTINGS: dict[str, Any] = {
    "KOJI_PROJECT_ID": PROJECT,
    "KOJI_DEFAULT_MODE": "text",
    "CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH": "1000",
    "CONNECTOR_MAX_CREDITS_PER_DAY": "10000",
}


@asynccontextmanager
async def http_client(
    world: World, era: Era = "auto", *, token: str = TOKEN, query: str = "", **more: Any
) -> AsyncIterator[Client]:
    """Yield a client of the world's own server."""
    async with (
        serving(world.app) as url,
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30, verify=False) as http,
        Client(streamable_http_client(f"{url}/mcp{query}", http_client=http), mode=era, **more) as client,
    ):
        yield client


def stdio_server(world: World, folder: Path, **settings: str) -> StdioServerParameters:
    """Return how a host starts the server, on a ledger in `folder`, with the world's stand-ins."""
    program, *arguments = command("mcp")
    return StdioServerParameters(
        command=program,
        args=arguments,
        env={**environment(world, folder), **settings},
        cwd=folder,
    )


def environment(world: World, folder: Path) -> dict[str, str]:
    """Return the short environment that a host gives."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(one for one in sys.path if one),
        "KOJI_API_KEY": "sandbox-koji-key",
        "KOJI_BASE_URL": f"{world.sandbox_url}/koji",
        "KOJI_RATE_LIMIT_PER_MINUTE": "60000",
        "AMPLITUDE_API_KEY": "sandbox-amplitude-key",
        "AMPLITUDE_SECRET_KEY": "sandbox-amplitude-secret",
        "AMPLITUDE_INGESTION_URL": f"{world.sandbox_url}/amplitude",
        "AMPLITUDE_REST_URL": f"{world.sandbox_url}/amplitude",
        "AMPLITUDE_EVENTS_PER_SECOND": "0",
        "DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
        **SETTINGS,
    }


@asynccontextmanager
async def a_client(way: tuple[str, Era], world: World, folder: Path, **more: Any) -> AsyncIterator[Client]:
    """Yield a client over a transport, in an era."""
    transport, era = way
    if transport == "http":
        async with http_client(world, era, **more) as client:
            yield client
    else:
        async with Client(stdio_server(world, folder), mode=era, **more) as client:
            yield client


def text_of(answer: CallToolResult) -> str:
    """Return an answer's text."""
    (only,) = answer.content
    assert isinstance(only, TextContent)
    return only.text


def values_of(answer: CallToolResult) -> dict[str, Any]:
    """Return the values of an answer that must not be an error."""
    assert not answer.is_error, text_of(answer)
    values: dict[str, Any] = answer.structured_content
    return values


def refused(answer: CallToolResult, code: str) -> Mapping[str, Any]:
    """Return the values of an answer that must be this error, in text and structured content."""
    assert answer.is_error, answer
    values: Mapping[str, Any] = answer.structured_content
    assert values["code"] == code, values
    assert code in text_of(answer)
    assert values["message"] in text_of(answer)
    return values


def people(*numbers: int) -> list[dict[str, Any]]:
    """Return members of a launch."""
    return [{"user_id": f"user-{n:03}", "email": f"person-{n:03}@example.com"} for n in numbers]


def started(world: World) -> list[Any]:
    """Return the interviews that Koji's stand-in started."""
    return [one for one in world.sandbox.koji.store.interviews.values() if one.external_id]


@asynccontextmanager
async def in_memory(world: World, person: Any) -> AsyncIterator[Client]:
    """Yield a client of the handshake era in this process, whose person can be asked."""

    async def context() -> Context:
        return world.context

    server, calling = create_server(Host(context, lambda _: LOCAL_ASSISTANT), [b"k" * 32])
    async with Client(server, mode="legacy", elicitation_callback=person) as client:
        yield client
    await calling.close()
