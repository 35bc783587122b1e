"""The addresses that test a connection: `/me` with a token, `/healthz` and `/readyz` without."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from pydantic import BaseModel, Field
from starlette.responses import Response

from connector import __version__
from connector.errors import StoreUnavailable
from connector.http.endpoint import Call, Endpoint, as_json
from connector.security.caller import SCOPES

PING_SECONDS = 5


class Me(BaseModel):
    """The server, and what the token may do."""

    account_name: str = Field(description="A label for this server.")
    connections: list[str] = Field(description="Names of connections.")
    scopes: list[str] = Field(description="What the token may do.")
    version: str = Field(description="The version of the connector.")


class Status(BaseModel):
    """One word on a state."""

    status: str = Field(description="How it is.")


async def _me(call: Call) -> Me:
    settings = call.ctx.settings
    return Me(
        account_name=f"koji-amplitude at {urlsplit(settings.public_url).netloc}",
        connections=call.connections(),
        scopes=[scope for scope in SCOPES if scope in call.caller.scopes],
        version=__version__,
    )


async def _healthz(_: Call) -> Response:
    return as_json(Status(status="ok"), headers={})


async def _readyz(call: Call) -> Response:
    if call.ctx.stopping.is_set():
        raise StoreUnavailable("The server is stopping.", code="stopping")
    try:
        async with asyncio.timeout(PING_SECONDS):
            await call.ctx.ledger.ping()
    except TimeoutError:
        raise StoreUnavailable(f"The store did not answer within {PING_SECONDS} seconds.") from None
    return as_json(Status(status="ready"), headers={})


HEALTH = (
    Endpoint(
        "GET",
        "/me",
        "me",
        "Test the token",
        description="Tells which server this is and what the token may do.",
        answers=Me,
        done="The token is good.",
        refused=("401", "429"),
        handler=_me,
    ),
    Endpoint(
        "GET",
        "/healthz",
        "healthz",
        "The process answers",
        answers=Status,
        is_open=True,
        refused=(),
        handler=_healthz,
    ),
    Endpoint(
        "GET",
        "/readyz",
        "readyz",
        "The store answers",
        answers=Status,
        is_open=True,
        refused=("503",),
        handler=_readyz,
    ),
)
