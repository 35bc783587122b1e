"""Check one connection: say of each credential, URL and webhook how it stands, and what to do next."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from connector.context import Context
from connector.domain.access import CLOCK_JUMPED, Diagnostic
from connector.domain.launches.respondent_link import has_no_link
from connector.domain.results.interview import Stage, SyncStatus
from connector.domain.results.koji_fields import shape
from connector.domain.results.mapping import iso
from connector.domain.results.sync import EVENTS_MISSING
from connector.service.checks.credentials import Check, Finding, credential_checks
from connector.service.checks.launches import launch_checks
from connector.service.checks.running import settings_check
from connector.service.checks.webhooks import noted, refused_webhooks
from connector.service.execution.operation import Effect, Example, Input, Operation, Output
from connector.service.lane_pause import ends_by_itself, pause_of_lanes
from connector.settings.model import DEFAULT_CONNECTION, Connection
from connector.settings.rules import start_rules


class RefusedWebhook(BaseModel):
    """A webhook that was refused: names and lengths, but none of its content."""

    at: str = Field(description="When it came, ISO 8601 in UTC.")
    setting: str = Field(description="The setting to look at.")
    body_bytes: int = Field(description="The length of its body.")
    headers: list[dict[str, Any]] = Field(
        description="Names of its headers with the lengths of their values."
    )
    tried: list[dict[str, Any]] = Field(description="Header, scheme and why the signature did not match.")


class CheckOutput(Output):
    """The results of all checks."""

    ok: bool = Field(description="Whether nothing failed.")
    checks: list[Check] = Field(description="Everything that was checked.")
    refused_webhooks: list[RefusedWebhook] = Field(
        description="The last five refused webhooks of the past hour."
    )
    next_step: str = Field(description="The one thing to do next.")


async def run(ctx: Context, payload: Input) -> CheckOutput:
    """Check everything of a connection; accepted credentials end their pauses."""
    connection = ctx.connection(payload.connection)
    refused = await refused_webhooks(ctx, connection.name)
    checks = [
        *await credential_checks(ctx, connection),
        Check.of("koji_project_id", _project_id(connection)),
        Check.of("koji_webhook", await _webhook(ctx, connection, refused)),
        Check.of("public_url", _public_url(ctx)),
        Check.of("unreadable_webhooks", await _unreadable(ctx, connection)),
        Check.of("syncs", await _syncs(ctx, connection)),
        Check.of("events_ingested", await _ingested(ctx, connection)),
        *await launch_checks(ctx, connection),
        Check.of("settings", await settings_check(ctx)),
        Check.of("clock", await _clock(ctx)),
        Check.of("faults", await _faults(ctx, connection)),
    ]
    worst = next((c for level in ("fail", "unknown", "warn") for c in checks if c.status == level), None)
    return CheckOutput(
        ok=all(check.status != "fail" for check in checks),
        checks=checks,
        refused_webhooks=[RefusedWebhook(at=iso(note.at), **note.detail) for note in refused],
        next_step=worst.message if worst else "Nothing: everything is in order.",
    )


async def _clock(ctx: Context) -> Finding:
    jumps = await ctx.ledger.diagnostics.since("", CLOCK_JUMPED, 0)
    if not jumps:
        return "ok", "The clock went evenly for the last hour."
    return "warn", (
        f"The clock jumped by {jumps[0].detail['seconds']:+,} s in the last hour. What waited is due again. "
        "Check the machine's time service."
    )


def _project_id(connection: Connection) -> Finding:
    if has_no_link(start_rules(connection)):
        return "warn", (
            "KOJI_PROJECT_ID is not set: people may get no link. It is in the project's address in Koji."
        )
    return "ok", "Links can be made."


async def _webhook(ctx: Context, connection: Connection, refused: list[Diagnostic]) -> Finding:
    if not connection.koji_webhook_secret:
        return "fail", "Set KOJI_WEBHOOK_SECRET: copy the secret that Koji shows beside the webhook."
    latest = await ctx.ledger.inbox.latest_webhook(connection.name)
    if latest is None:
        if refused:
            return "fail", refused[0].detail["setting"]
        return "warn", await _none_came(ctx, connection)
    signed = f"signed in the header {latest.header} ({latest.scheme})"
    came = iso(latest.received_at).removesuffix("T00:00:00Z")  # the time of an erased one is a day
    message = f"The last webhook came on {came}, {signed}."
    if refused and refused[0].at > latest.received_at:
        return "warn", f"{message} One that came later was refused: {refused[0].detail['setting']}"
    return "ok", message


async def _none_came(ctx: Context, connection: Connection) -> str:
    pings = await noted(ctx, connection.name, "ping", 0)
    if pings:
        return f"No webhook has come yet. A test call came at {iso(pings[0].at)}: now finish an interview."
    return (
        "No webhook has come yet. In Koji, point a webhook at "
        f"{ctx.settings.public_url}/webhooks/koji with the event interview.analysis_ready."
    )


def _public_url(ctx: Context) -> Finding:
    url = ctx.settings.public_url
    if urlsplit(url).scheme == "https":
        return "ok", f"Koji reaches the connector at {url}."
    return "warn", (
        f"PUBLIC_URL is {url}; Koji sends webhooks to https addresses only. Put a proxy or tunnel in front "
        "and set PUBLIC_URL."
    )


async def _unreadable(ctx: Context, connection: Connection) -> Finding:
    webhooks = await ctx.ledger.inbox.unreadable(connection.name, limit=1)
    if not webhooks:
        return "ok", "Every webhook could be read."
    if webhooks[0].interview_id is not None:
        return "fail", (
            f"The connector failed on a webhook about {webhooks[0].interview_id}; see faults and the log, "
            "then replay the unreadable ones."
        )
    keys = ", ".join(shape(json.loads(webhooks[0].body or "null"))) or "none"
    return "fail", (
        f"No interview id was found in webhooks with the keys: {keys}. Set KOJI_FIELD_ALIASES, for example "
        "interview_id=data.session.uuid, then replay the unreadable ones."
    )


async def _syncs(ctx: Context, connection: Connection) -> Finding:
    lanes = (connection.koji_lane, connection.amplitude_lane)
    if pause := await pause_of_lanes(ctx, lanes):
        if ends_by_itself(pause):
            return "warn", f"Waiting for Koji: {pause.message}"
        return "fail", f"Calls are paused: {pause.message}"
    by_status = Counter[str]()
    for (status, _), n in (await ctx.ledger.counters.totals(connection.name)).items():
        by_status[status] += n
    if not by_status:
        return "ok", "No interview came in yet."
    counts = ", ".join(f"{n} {status}" for status, n in sorted(by_status.items()) if n)
    waiting = await ctx.ledger.syncs.waiting(Stage.READ, [connection.name])
    minutes = -(-waiting // connection.koji_rate_limit_per_minute)
    reading = f" {waiting} wait to be read from Koji, about {minutes} min." if waiting else ""
    if by_status["failed"]:
        return "warn", f"Interviews: {counts}.{reading} List the failed ones to see why, then replay them."
    return "ok", f"Interviews: {counts}.{reading}"


async def _ingested(ctx: Context, connection: Connection) -> Finding:
    totals = await ctx.ledger.counters.totals(connection.name)
    if not (number := totals.get((SyncStatus.SYNCED, EVENTS_MISSING), 0)):
        return "ok", "Amplitude took as many events as were sent."
    return "warn", (
        f"Amplitude took fewer events than were sent in requests with {number} interviews, twice: list "
        f"those with the reason {EVENTS_MISSING}, and look whether their events are in Amplitude."
    )


async def _faults(ctx: Context, connection: Connection) -> Finding:
    """Show exceptions that no code foresaw; those of connections that left the settings, at `default`."""
    names = ctx.settings.connections
    lanes = (connection.koji_lane, connection.amplitude_lane)
    faults = [
        fault
        for fault in await ctx.ledger.faults.listed()
        if fault.connection == connection.name
        or fault.worker in lanes
        or (fault.connection not in names and connection.name == DEFAULT_CONNECTION)
    ]
    if not faults:
        return "ok", "No worker failed."
    parked = sum(fault.due is None for fault in faults)
    newest = faults[0]
    job = f"{newest.worker.partition(':')[0]} {newest.job}"
    left = "" if newest.connection in ("", *names) else f" of {newest.connection}, which left the settings,"
    return "warn", (
        f"{len(faults)} jobs failed in a way that the connector did not foresee, {parked} of them parked. "
        f"The last: {job}{left} with {newest.error} on {iso(newest.at)[:10]} "
        f"({newest.tries} attempts). See the log."
    )


CHECK_CONNECTION = Operation.of(
    run,
    subject="connections",
    title="Check a connection",
    summary="Check every credential, URL and webhook of a connection and say in plain words what works, "
    "what does not, and the one next step. Use it after setting up, and whenever something does not arrive. "
    "Sends and spends nothing.",
    guidance="Use it when something is refused or nothing arrives. Not for one interview: get_sync.",
    example=Example(
        {},
        {
            "ok": True,
            "checks": [{"name": "koji_key", "status": "ok", "message": "Koji accepts the key."}],
            "refused_webhooks": [],
            "next_step": "Nothing is to be done.",
        },
    ),
    effect=Effect.READ,
)
