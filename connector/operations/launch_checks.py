"""What `check_connection` says of launches: what stands still, and what is used of the limits."""

from __future__ import annotations

from connector.operations.credential_checks import Check
from connector.planning import MONTH, MOST_A_MONTH, MOST_IN_TEN_MINUTES, TEN_MINUTES
from connector.ports import Context, ListFilter
from connector.settings import Connection
from connector.starting import has_no_link

_LOOKED_AT = 50


async def launch_checks(ctx: Context, connection: Connection) -> list[Check]:
    """Check launches, links, credits and cohort downloads of a connection."""
    return [await _launches(ctx, connection), await _downloads(ctx, connection)]


async def _launches(ctx: Context, connection: Connection) -> Check:
    name = "launches"
    listed = await ctx.launches.listed(connection.name, ListFilter(status="paused"), limit=1, after=None)
    for launch in listed:
        return Check(
            name=name,
            status="warn",
            message=f"Launch {launch.id} is paused ({launch.pause_reason}): mend its cause, then "
            f"resume_launch.",
        )
    newest = await ctx.launches.listed(connection.name, ListFilter(), limit=_LOOKED_AT, after=None)
    for launch in newest:
        if launch.in_doubt:
            words = f"Launch {launch.id} has {launch.in_doubt} starts of unknown outcome"
            message = f"{words}: look into Koji, then resume_launch with in_doubt retry or give_up."
            return Check(name=name, status="warn", message=message)
    cap = connection.connector_max_credits_per_day
    left = await ctx.invitations.credits_left(connection.credit_lane, cap, ctx.clock.now())
    message = f"{max(0, cap - left)} of the {cap} credits of this UTC day are used."
    if has_no_link(connection):
        message += " Set KOJI_PROJECT_ID, so that people get links."
    return Check(name=name, status="ok", message=message)


async def _downloads(ctx: Context, connection: Connection) -> Check:
    name = "cohort_downloads"
    if connection.name not in ctx.amplitude_cohorts:
        words = "Set AMPLITUDE_SECRET_KEY to launch cohorts; members and start_interview work without it."
        return Check(name=name, status="ok", message=words)
    now = ctx.clock.now()
    used = await ctx.launches.downloads(connection.amplitude_lane or "", now - MONTH)
    lately = sum(at > now - TEN_MINUTES for at in used)
    return Check(
        name=name,
        status="warn" if len(used) >= MOST_A_MONTH else "ok",
        message=f"{len(used)} of {MOST_A_MONTH} cohort downloads in 30 days and {lately} of "
        f"{MOST_IN_TEN_MINUTES} in ten minutes are used, as counted here.",
    )
