"""Check one connection: each credential, address and webhook in plain words, with the one next step."""

from __future__ import annotations

import json
import uuid
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from connector.amplitude.answers import Kind
from connector.envelope import shape
from connector.errors import ConnectorError, CredentialsRejected, NotFound, UpstreamUnavailable
from connector.mapping import iso
from connector.models import Stage
from connector.operations.base import Effect, Input, Operation, Output
from connector.ports import Context
from connector.settings import Connection

PATIENCE = 8.0
_REFUSED_KEPT = 3_600_000
_PING_KEPT = 30 * 86_400_000
_NOBODY = "koji-amplitude-check"
Status = Literal["ok", "warn", "fail", "unknown"]


class Check(BaseModel):
    """One thing that was checked."""

    name: str = Field(description="What was checked.")
    status: Status = Field(description="ok, warn (works, could be better), fail (does not work) or unknown.")
    message: str = Field(description="What was found and, unless all is well, what to do.")


class RefusedWebhook(BaseModel):
    """A webhook that was refused: names and lengths, nothing of its content."""

    at: str = Field(description="When it came, ISO 8601 in UTC.")
    setting: str = Field(description="The setting to look at.")
    body_bytes: int = Field(description="The length of its body.")
    headers: list[dict[str, Any]] = Field(
        description="Names of its headers with the lengths of their values."
    )
    tried: list[dict[str, Any]] = Field(description="Header, scheme and why the signature did not match.")


class CheckOutput(Output):
    """What was found."""

    ok: bool = Field(description="Whether nothing failed.")
    checks: list[Check] = Field(description="Everything that was checked.")
    refused_webhooks: list[RefusedWebhook] = Field(
        description="The last five refused webhooks of the past hour."
    )
    next_step: str = Field(description="The one thing to do next.")


async def run(ctx: Context, given: Input) -> CheckOutput:
    """Check everything of a connection; a lane whose credential is good again goes on."""
    connection = ctx.connection(given.connection)
    refused = await _refused(ctx, connection)
    checks = [
        await _koji_key(ctx, connection),
        await _amplitude_key(ctx, connection),
        await _amplitude_secret(ctx, connection),
        await _webhook_secret(ctx, connection, refused),
        _public_url(ctx),
        await _unreadable(ctx, connection),
        await _syncs(ctx, connection),
    ]
    worst = next((c for level in ("fail", "warn") for c in checks if c.status == level), None)
    return CheckOutput(
        ok=all(check.status != "fail" for check in checks),
        checks=checks,
        refused_webhooks=refused,
        next_step=worst.message if worst else "Nothing: everything is in order.",
    )


async def _koji_key(ctx: Context, connection: Connection) -> Check:
    name = "koji_api_key"
    koji = ctx.koji.get(connection.name)
    if koji is None:
        return Check(
            name=name, status="fail", message="Set KOJI_API_KEY: make a key in Koji, Settings, Integrations."
        )
    try:
        await koji.read(str(uuid.uuid4()), patience=PATIENCE)
    except NotFound:
        await _go_on(ctx, connection.koji_lane)
        return Check(name=name, status="ok", message="Koji accepts the key and lets it read interviews.")
    except UpstreamUnavailable as error:
        return Check(name=name, status="unknown", message=error.message)
    except ConnectorError as error:
        return Check(name=name, status="fail", message=error.message)
    return Check(
        name=name,
        status="unknown",
        message="Koji showed an interview that cannot exist: check KOJI_BASE_URL.",
    )


async def _amplitude_key(ctx: Context, connection: Connection) -> Check:
    name = "amplitude_api_key"
    amplitude = ctx.amplitude.get(connection.name)
    if amplitude is None:
        return Check(
            name=name, status="fail", message="Set AMPLITUDE_API_KEY: it is in Amplitude, Settings, Projects."
        )
    answer = await amplitude.probe()
    match answer.kind:
        case Kind.REJECTED:
            await _go_on(ctx, connection.amplitude_lane)
            return Check(name=name, status="ok", message="Amplitude accepts the key; nothing was ingested.")
        case Kind.PAUSED:
            return Check(name=name, status="fail", message=await _wrong_key(ctx, connection, answer.words))
        case Kind.UNAVAILABLE | Kind.UNKNOWN | Kind.THROTTLED:
            return Check(name=name, status="unknown", message=f"Amplitude did not answer: {answer.words}.")
        case _:
            return Check(
                name=name,
                status="unknown",
                message=f"Amplitude answered in an unexpected way: {answer.words}.",
            )


async def _wrong_key(ctx: Context, connection: Connection, words: str) -> str:
    """Say what is wrong with a refused key; a key of the other region is named."""
    other = ctx.amplitude_elsewhere.get(connection.name)
    if other is not None and (await other.probe()).kind is Kind.REJECTED:
        region = "eu" if connection.amplitude_region == "us" else "us"
        return f"The key belongs to the other region: set AMPLITUDE_REGION={region}."
    return f"Amplitude refused AMPLITUDE_API_KEY ({words}): check key, project and AMPLITUDE_REGION."


async def _amplitude_secret(ctx: Context, connection: Connection) -> Check:
    name = "amplitude_secret_key"
    users = ctx.amplitude_users.get(connection.name)
    if users is None:
        return Check(
            name=name,
            status="warn",
            message="AMPLITUDE_SECRET_KEY is not set; results sync without it, look-ups do not.",
        )
    try:
        await users.search(_NOBODY)
    except CredentialsRejected as error:
        return Check(name=name, status="fail", message=error.message)
    except UpstreamUnavailable as error:
        return Check(name=name, status="unknown", message=error.message)
    except ConnectorError as error:
        return Check(name=name, status="fail", message=error.message)
    return Check(name=name, status="ok", message="Amplitude accepts the secret key.")


async def _webhook_secret(ctx: Context, connection: Connection, refused: list[RefusedWebhook]) -> Check:
    name = "koji_webhook"
    if not connection.koji_webhook_secret:
        return Check(
            name=name,
            status="fail",
            message="Set KOJI_WEBHOOK_SECRET: copy the secret that Koji shows beside the webhook.",
        )
    latest = await ctx.ledger.latest_webhook(connection.name)
    if latest is not None and (not refused or refused[0].at <= iso(latest.received_at)):
        return Check(
            name=name,
            status="ok",
            message=f"The last webhook came at {iso(latest.received_at)}, signed in the header {latest.header} "
            f"({latest.scheme}).",
        )
    if refused:
        return Check(name=name, status="fail", message=refused[0].setting)
    pinged = [
        note
        for of in (connection.name, "")
        for note in await ctx.ledger.notes(of, "ping", ctx.clock.now() - _PING_KEPT)
    ]
    seen = f" Koji's test call came at {iso(pinged[0].at)}." if pinged else ""
    return Check(
        name=name,
        status="warn",
        message=f"No webhook has come yet.{seen} In Koji, point a webhook at {ctx.settings.public_url}/webhooks/koji "
        "with the event interview.analysis_ready.",
    )


def _public_url(ctx: Context) -> Check:
    url = ctx.settings.public_url
    if urlsplit(url).scheme == "https":
        return Check(name="public_url", status="ok", message=f"Koji reaches the connector at {url}.")
    return Check(
        name="public_url",
        status="warn",
        message=f"PUBLIC_URL is {url}; Koji sends webhooks to https addresses only. Put a proxy or tunnel in front and set PUBLIC_URL.",
    )


async def _unreadable(ctx: Context, connection: Connection) -> Check:
    name = "unreadable_webhooks"
    found = await ctx.ledger.unreadable(connection.name, limit=1)
    if not found:
        return Check(name=name, status="ok", message="Every webhook could be read.")
    keys = ", ".join(shape(json.loads(found[0].body or "null"))) or "none"
    return Check(
        name=name,
        status="fail",
        message=f"No interview id was found in webhooks with the keys: {keys}. Set KOJI_FIELD_ALIASES, for example "
        "interview_id=data.session.uuid, then replay_syncs with status unreadable.",
    )


async def _syncs(ctx: Context, connection: Connection) -> Check:
    name = "syncs"
    lanes = (connection.koji_lane, connection.amplitude_lane)
    for pause in await ctx.ledger.pauses():
        if pause.lane in lanes:
            return Check(name=name, status="fail", message=f"Syncs are paused: {pause.words}")
    by_status: dict[str, int] = {}
    for (status, _), n in (await ctx.ledger.totals(connection.name)).items():
        by_status[status] = by_status.get(status, 0) + n
    if not by_status:
        return Check(name=name, status="ok", message="No interview came in yet.")
    counts = ", ".join(f"{n} {status}" for status, n in sorted(by_status.items()) if n)
    waiting = await ctx.ledger.waiting(Stage.READ, [connection.name])
    minutes = -(-waiting // connection.koji_rate_limit_per_minute)
    reading = f" {waiting} wait to be read from Koji, about {minutes} min." if waiting else ""
    return Check(
        name=name,
        status="warn" if by_status.get("failed") else "ok",
        message=f"Interviews: {counts}.{reading}"
        + (" See list_syncs with status failed, then replay_syncs." if by_status.get("failed") else ""),
    )


async def _refused(ctx: Context, connection: Connection) -> list[RefusedWebhook]:
    since = ctx.clock.now() - _REFUSED_KEPT
    notes = [note for of in (connection.name, "") for note in await ctx.ledger.notes(of, "refused", since)]
    notes.sort(key=lambda note: note.at, reverse=True)
    return [RefusedWebhook(at=iso(note.at), **note.detail) for note in notes[:5]]


async def _go_on(ctx: Context, lane: str | None) -> None:
    if lane is not None and await ctx.ledger.resume(lane):
        ctx.wake()


CHECK_CONNECTION = Operation(
    name="check_connection",
    title="Check a connection",
    summary=(
        "Check every credential, address and webhook of a connection and say in plain words what works, what does not, "
        "and the one next step. Use it after setting up, and whenever something does not arrive. Sends and spends nothing."
    ),
    input=Input,
    output=CheckOutput,
    run=run,
    effect=Effect.READ,
)
