"""Check launches for `check_connection`: which are paused, and how much of the limits is used."""

from __future__ import annotations

from functools import partial

from connector.context import Context
from connector.domain.launches.respondent_link import has_no_link
from connector.domain.results.mapping import iso
from connector.domain.results.sync import ListFilter
from connector.service.checks.credentials import Check, Finding
from connector.service.planning import MONTH, MOST_A_MONTH, MOST_IN_TEN_MINUTES, TEN_MINUTES
from connector.settings.model import DEFAULT_CONNECTION, Connection
from connector.settings.rules import start_rules

_LOOKED_AT = 50  # launches


async def launch_checks(ctx: Context, connection: Connection) -> list[Check]:
    """Check launches, links, credits, cohort downloads and the cohort webhook of a connection."""
    return [
        Check.of("launches", await _launches(ctx, connection)),
        Check.of("cohort_downloads", await _downloads(ctx, connection)),
        Check.of("cohort_webhook", await _cohort_webhook(ctx, connection)),
    ]


async def _launches(ctx: Context, connection: Connection) -> Finding:
    listed = partial(ctx.ledger.launches.listed, connection.name, after=None)
    for launch in await listed(ListFilter(status="paused"), limit=1):
        why = f"Launch {launch.id} is paused ({launch.pause_reason})"
        return "warn", f"{why}: mend its cause, then resume_launch."
    for launch in await listed(ListFilter(), limit=_LOOKED_AT):
        if launch.in_doubt:
            why = f"Launch {launch.id} has {launch.in_doubt} starts of unknown outcome"
            return "warn", f"{why}: look into Koji, then resume_launch with in_doubt retry or give_up."
    cap = connection.connector_max_credits_per_day
    left = await ctx.ledger.invitations.credits_left(connection.credit_lane, cap, ctx.clock.now())
    used = max(0, cap - left)
    message = f"{used} of the {cap} credits of this UTC day are used."
    if used and used >= cap:
        return "warn", f"{message} Launches go on at 00:00 UTC; more a day: CONNECTOR_MAX_CREDITS_PER_DAY."
    if has_no_link(start_rules(connection)):
        message += " Set KOJI_PROJECT_ID, so that people get links."
    return "ok", message


async def _downloads(ctx: Context, connection: Connection) -> Finding:
    if connection.name not in ctx.amplitude_cohorts:
        return (
            "ok",
            "Set AMPLITUDE_SECRET_KEY to launch cohorts; members and start_interview work without it.",
        )
    now = ctx.clock.now()
    used = await ctx.ledger.launches.downloads(connection.amplitude_lane or "", now - MONTH)
    lately = sum(at > now - TEN_MINUTES for at in used)
    message = (
        f"{len(used)} of {MOST_A_MONTH} cohort downloads in 30 days and {lately} of {MOST_IN_TEN_MINUTES} in "
        "ten minutes are used, as counted here."
    )
    return "warn" if len(used) >= MOST_A_MONTH else "ok", message


async def _cohort_webhook(ctx: Context, connection: Connection) -> Finding:
    if connection.amplitude_cohort_webhook_token is None:
        why = "to invite people who enter a cohort; launches work without it"
        return "ok", f"Set AMPLITUDE_COHORT_WEBHOOK_TOKEN {why}."
    if has_no_link(start_rules(connection)):
        why = "without it people from a cohort's webhook get no link, so that none is started"
        return "warn", f"Set KOJI_PROJECT_ID: {why}."
    at = await ctx.ledger.cohort_inbox.latest(connection.name)
    if at is not None:
        return "ok", f"The last message of a cohort came at {iso(at)}."
    path = "" if connection.name == DEFAULT_CONNECTION else f"/{connection.name}"
    return "warn", (
        f"No cohort has come yet. In Amplitude, add a cohort webhook to {ctx.settings.public_url}"
        f"/webhooks/amplitude/cohorts{path} with the header Authorization: Bearer and "
        "AMPLITUDE_COHORT_WEBHOOK_TOKEN, then sync a cohort to it."
    )
