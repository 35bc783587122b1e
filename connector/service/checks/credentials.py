"""Check each credential with a call that changes nothing; its lane resumes once it is accepted."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, Self

from pydantic import BaseModel, Field

from connector.amplitude.responses import Answer, Kind
from connector.context import Context
from connector.domain.lease import KOJI_CREDITS, PAUSE_MESSAGES
from connector.errors import ConnectorError, NotFound, UpstreamUnavailable
from connector.settings.model import Connection

PATIENCE = 8.0
_UNKNOWN_USER = "koji-amplitude-check"
Status = Literal["ok", "warn", "fail", "unknown"]
Finding = tuple[Status, str]
"""The status, and what was seen and what to do."""


class Check(BaseModel):
    """One thing that was checked."""

    name: str = Field(description="What was checked.")
    status: Status = Field(description="ok, warn (works, could be better), fail (does not work) or unknown.")
    message: str = Field(description="What was found and, unless all is well, what to do.")

    @classmethod
    def of(cls, name: str, finding: Finding) -> Self:
        """Return a finding under its name."""
        return cls(name=name, status=finding[0], message=finding[1])


async def credential_checks(ctx: Context, connection: Connection) -> list[Check]:
    """Check the three credentials at the same time, none longer than 8 seconds."""
    return list(await asyncio.gather(*(credential_check(ctx, connection, name) for name in CREDENTIALS)))


async def credential_check(ctx: Context, connection: Connection, name: str) -> Check:
    """Check one of `CREDENTIALS`, for at most 8 seconds."""
    service, check = CREDENTIALS[name]
    try:
        async with asyncio.timeout(PATIENCE):
            return Check.of(name, await check(ctx, connection))
    except TimeoutError:
        message = f"{service} did not answer within {PATIENCE:.0f} seconds; check again later."
        return Check.of(name, ("unknown", message))
    except UpstreamUnavailable as error:
        return Check.of(name, ("unknown", error.message))
    except ConnectorError as error:
        return Check.of(name, ("fail", error.message))


async def _koji_key(ctx: Context, connection: Connection) -> Finding:
    koji = ctx.koji.get(connection.name)
    if koji is None:
        return "fail", "Set KOJI_API_KEY: make a key in Koji, Settings, Integrations."
    try:
        await koji.read(str(uuid.uuid4()), patience=PATIENCE)
    except NotFound:
        if await _lacks_credits(ctx, connection):  # a read costs none, and so says nothing of them
            await ctx.ledger.leases.resume(connection.koji_lane or "")
            return "warn", f"Koji accepts the key. {PAUSE_MESSAGES[KOJI_CREDITS]}"
        await _go_on(ctx, connection.koji_lane)
        return "ok", "Koji accepts the key and lets it read interviews."
    return "unknown", "Koji showed an interview that cannot exist: check KOJI_BASE_URL."


async def _amplitude_key(ctx: Context, connection: Connection) -> Finding:
    amplitude = ctx.amplitude.get(connection.name)
    if amplitude is None:
        return "fail", "Set AMPLITUDE_API_KEY: it is in Amplitude, Settings, Projects."
    answer = await amplitude.probe()
    match answer.kind:
        case Kind.REJECTED:
            await _go_on(ctx, connection.amplitude_lane)
            return "ok", "Amplitude accepts the key; nothing was ingested."
        case Kind.PAUSED:
            return "fail", await _paused(ctx, connection, answer)
        case Kind.UNAVAILABLE | Kind.UNKNOWN | Kind.THROTTLED:
            return "unknown", f"Amplitude gave no verdict: {answer.message}."
        case _:
            return "unknown", f"Amplitude answered in an unexpected way: {answer.message}."


async def _paused(ctx: Context, connection: Connection, answer: Answer) -> str:
    """Say what is wrong with a key or an address, and whether the key belongs to the other region."""
    other = ctx.amplitude_elsewhere.get(connection.name)
    if other is not None and (await other.probe()).kind is Kind.REJECTED:
        region = "eu" if connection.amplitude_region == "us" else "us"
        return f"The key belongs to the other region: set AMPLITUDE_REGION={region}."
    if not answer.message.startswith("Invalid API key"):
        return f"{answer.message}."
    return (
        f"Amplitude refused AMPLITUDE_API_KEY in the region {connection.amplitude_region}: copy it from "
        "Amplitude, Settings, Projects, and set AMPLITUDE_REGION to us or eu, as the project is."
    )


async def _amplitude_secret(ctx: Context, connection: Connection) -> Finding:
    users = ctx.amplitude_users.get(connection.name)
    if users is None:
        return "warn", "AMPLITUDE_SECRET_KEY is not set; results sync without it, look-ups do not."
    await users.search(_UNKNOWN_USER)
    return "ok", "Amplitude accepts the secret key."


CREDENTIALS: Final[Mapping[str, tuple[str, Callable[[Context, Connection], Awaitable[Finding]]]]] = {
    "koji_api_key": ("Koji", _koji_key),
    "amplitude_api_key": ("Amplitude", _amplitude_key),
    "amplitude_secret_key": ("Amplitude's user search", _amplitude_secret),
}
"""The service that a credential is for, and its check, by the name of the setting."""


async def _lacks_credits(ctx: Context, connection: Connection) -> bool:
    paused = await ctx.ledger.connection_pauses.listed([connection.name])
    return any(pause.reason == KOJI_CREDITS for pause in paused)


async def _go_on(ctx: Context, lane: str | None) -> None:
    sharing = [c.name for c in ctx.settings.connections.values() if lane in (c.koji_lane, c.amplitude_lane)]
    if lane is not None and await ctx.ledger.connection_pauses.end(lane, sharing, ctx.clock.now()):
        ctx.wake()
