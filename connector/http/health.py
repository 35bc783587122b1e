"""Serve the routes that test the server: `/me` with a token, `/healthz` and `/readyz` without."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from pydantic import BaseModel, Field
from starlette.responses import Response

from connector import __version__
from connector.context import Context
from connector.domain.results.mapping import iso
from connector.errors import LedgerUnavailable, TooManyFailures, Unauthenticated
from connector.http.auth import presented
from connector.http.endpoint import Call, as_json, endpoint
from connector.security.caller import SCOPES
from connector.service.lane_pause import announced_pauses

PING_SECONDS = 5


class Me(BaseModel):
    """The server, and the rights of the token."""

    account_name: str = Field(description="A label for this server.")
    connections: list[str] = Field(description="The names of the token's connections.")
    scopes: list[str] = Field(description="The scopes of the token.")
    version: str = Field(description="The version of the connector.")


class Status(BaseModel):
    """The state of the server."""

    status: str = Field(description="ok or ready.")


class Ready(Status):
    """The state of the server, and the pauses that wait for a person."""

    pauses: list[dict[str, str]] = Field(
        [],
        description="connection, reason and since (ISO 8601) of each pause, for a token with the scope read; "
        "check_connection says what to do.",
    )


@endpoint("GET", "/me", refused=("401", "429"))
async def me(call: Call) -> Me:
    """Test the token.

    Answers the server's name and version, and the scopes and connections of the token.
    """
    settings = call.ctx.settings
    return Me(
        account_name=f"koji-amplitude at {urlsplit(settings.public_url).netloc}",
        connections=call.connections(),
        scopes=[scope for scope in SCOPES if scope in call.ctx.caller.scopes],
        version=__version__,
    )


@endpoint("GET", "/healthz", answers=Status, is_open=True, refused=())
async def healthz(_: Call) -> Response:
    """Check that the process answers."""
    return as_json(Status(status="ok"), headers={})


@endpoint("GET", "/readyz", answers=Ready, is_open=True, refused=("503",))
async def readyz(call: Call) -> Response:
    """Check that the ledger answers.

    A token with the scope read is shown which of its connections pause; these pauses are no failure.
    """
    pauses = await readiness(call.ctx)
    caller = None
    if any(presented(call.request.headers)):
        with suppress(Unauthenticated, TooManyFailures):  # anybody is told whether it is ready
            caller = await call.gate.caller(call.request)
    if caller is None or "read" not in caller.scopes:
        return as_json(Status(status="ready"), headers={})
    own = [pause for pause in pauses if caller.may_use(pause["connection"])]
    return as_json(Ready(status="ready", pauses=own), headers={})


async def readiness(ctx: Context) -> list[dict[str, str]]:
    """Return the pauses of connections. Raises `LedgerUnavailable` when the server cannot work."""
    if ctx.stopping.is_set():
        raise LedgerUnavailable("The server is stopping.", code="stopping")
    try:
        async with asyncio.timeout(PING_SECONDS):
            await ctx.ledger.ping()
            pauses = await announced_pauses(ctx)
    except TimeoutError:
        raise LedgerUnavailable(f"The ledger did not answer within {PING_SECONDS} seconds.") from None
    return [{"connection": p.connection, "reason": p.reason, "since": iso(p.since)} for p in pauses]


HEALTH = (me, healthz, readyz)
