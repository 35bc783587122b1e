"""Show a connection's day: what came in, what runs or waits, and the one next step."""

from __future__ import annotations

from collections import Counter
from typing import Final

from pydantic import BaseModel, Field

from connector.context import Context
from connector.domain.launches.credits import day_of, day_start, price
from connector.domain.launches.launch import APPROVAL, LaunchOptions, LaunchStatus
from connector.domain.lease import PAUSE_MESSAGES
from connector.domain.results.interview import SyncStatus
from connector.domain.results.mapping import iso
from connector.service.checks.webhooks import refused_webhooks
from connector.service.execution.operation import Effect, Example, Input, Operation, Output, quoted
from connector.service.lane_pause import announced_pauses
from connector.service.launch_progress import SELF_RESUMING, progress_of
from connector.service.views import examples
from connector.service.views.sync import time_text
from connector.text.values import counted, people_of

_SHOWN: Final = 50
_LOOKED_BACK: Final = 7
"""Days of which a failed interview is still a next step."""


class OverviewLaunch(BaseModel):
    """A launch that runs or waits."""

    launch_id: str = Field(description="The launch's id, for get_launch.")
    cohort_name: str | None = Field(description="The cohort's name in Amplitude; null for given members.")
    begun_at: str = Field(description="When it was begun, ISO 8601 in UTC.")
    status: str = Field(description="running, paused, or planned: waits for launch_cohort_interviews.")
    pause_reason: str | None = Field(description="Why it is paused; null otherwise.")
    resumes_at: str | None = Field(description="When the pause ends by itself, ISO 8601 in UTC.")
    plan_expires_at: str | None = Field(description="Until when a plan can be launched, ISO 8601 in UTC.")
    message: str | None = Field(description="What it waits for, in plain words.")
    to_invite: int = Field(description="People who are, or are to be, invited.")
    waiting: int = Field(description="People whose interview is not started yet.")
    invited: int = Field(description="People whose interview was started.")
    credits_waiting: int = Field(description="Koji credits that those who wait take at most.")
    eta_seconds: int | None = Field(description="About how long the rest takes, in seconds; null if unknown.")


class OverviewPause(BaseModel):
    """A pause of calls to Koji or Amplitude."""

    upstream: str = Field(description="koji or amplitude.")
    reason: str = Field(description=f"One of {', '.join(PAUSE_MESSAGES)}.")
    since: str = Field(description="When it began, ISO 8601 in UTC.")
    message: str = Field(description="What to do, in plain words.")


class OverviewOutput(Output):
    """A connection's UTC day."""

    connection: str = Field(description="The connection.")
    day: str = Field(description="The UTC day, YYYY-MM-DD.")
    received: int = Field(description="Interviews that first came in.")
    synced: int = Field(description="Of those, in Amplitude.")
    pending: int = Field(description="On their way.")
    skipped: dict[str, int] = Field(description="Not for Amplitude, by reason.")
    failed: dict[str, int] = Field(description="Not delivered, by reason.")
    launches: list[OverviewLaunch] = Field(
        description="At most 50 that run, are paused, or are planned and can be launched; paused first."
    )
    pauses: list[OverviewPause] = Field(description="Pauses of calls.")
    credits_used: int = Field(description="Koji credits spent with the key.")
    credits_cap: int = Field(description="Koji credits of a day at most.")
    credits_each: int = Field(description="Koji credits of one interview in the default mode.")
    credits_forecast: int = Field(description="Koji credits that running launches still take today.")
    next_step: str | None = Field(description="The one thing to do; null for nothing.")


async def run(ctx: Context, payload: Input) -> OverviewOutput:
    """Return the day's numbers, from the ledger alone."""
    connection, now = ctx.connection(payload.connection), ctx.clock.now()
    today = day_of(now)
    counts = await ctx.ledger.counters.since(connection.name, today + 1 - _LOOKED_BACK)
    cap = connection.connector_max_credits_per_day
    left = await ctx.ledger.invitations.credits_left(connection.credit_lane, cap, now)
    forecast, launches = 0, []
    for launch in await ctx.ledger.launches.unfinished(connection.name, now, _SHOWN):
        progress = await progress_of(ctx, launch)
        waiting = launch.left + launch.planned
        shown = OverviewLaunch(
            launch_id=launch.id,
            cohort_name=launch.cohort_name,
            begun_at=iso(launch.created_at),
            status="paused" if progress.pause else launch.status.value,
            pause_reason=progress.pause.code if progress.pause else None,
            resumes_at=time_text(progress.pause.until) if progress.pause else None,
            plan_expires_at=time_text(launch.expires_at) if launch.status is LaunchStatus.PLANNED else None,
            message=progress.message,
            to_invite=launch.to_invite,
            waiting=waiting,
            invited=launch.invited,
            credits_waiting=price(launch.options, connection.koji_default_mode, waiting),
            eta_seconds=progress.seconds,
        )
        launches.append(shown)
        if launch.status is LaunchStatus.RUNNING and not progress.waits_for_person:
            forecast += price(launch.options, connection.koji_default_mode, progress.expected.today)
    pauses = [
        OverviewPause(
            upstream=one.upstream, reason=one.reason, since=iso(one.since), message=PAUSE_MESSAGES[one.reason]
        )
        for one in await announced_pauses(ctx)
        if one.connection == connection.name
    ]
    mend = next((pause.message for pause in pauses if pause.reason not in SELF_RESUMING), None)
    of_today = {key[1:]: n for key, n in counts.items() if key[0] == today}
    of_status: dict[str, Counter[str]] = {status: Counter() for status in SyncStatus}
    for (status, reason), n in of_today.items():
        of_status[status][reason] += n
    failed = sum(n for (_, status, _), n in counts.items() if status == SyncStatus.FAILED)
    return OverviewOutput(
        connection=connection.name,
        day=iso(day_start(now))[:10],
        received=sum(of_today.values()),
        synced=of_status[SyncStatus.SYNCED].total(),
        pending=of_status[SyncStatus.PENDING].total(),
        skipped=of_status[SyncStatus.SKIPPED],
        failed=of_status[SyncStatus.FAILED],
        launches=sorted(launches, key=lambda one: one.status != "paused"),
        pauses=pauses,
        credits_used=cap - left,
        credits_cap=cap,
        credits_each=price(LaunchOptions(max_interviews=1), connection.koji_default_mode),
        credits_forecast=min(forecast, max(0, left)),
        next_step=mend or _of_launches(launches) or await _of_rest(ctx, payload, failed),
    )


def _of_launches(launches: list[OverviewLaunch]) -> str | None:
    waiting = [one for one in launches if one.pause_reason and one.pause_reason not in SELF_RESUMING]
    for one in sorted(waiting, key=lambda launch: launch.pause_reason != APPROVAL):
        name = f" of {quoted(one.cohort_name)}" if one.cohort_name else ""
        if one.pause_reason == APPROVAL:
            return (
                f"{people_of(one.waiting)}{name} wait for approval: look at launch {one.launch_id} with "
                "get_launch; resume_launch approves them, cancel_launch calls them off."
            )
        why = f"Launch {one.launch_id}{name} is paused ({one.pause_reason})"
        return f"{why}: get_launch says why; mend that, then resume_launch."
    return None


async def _of_rest(ctx: Context, payload: Input, failed: int) -> str | None:
    connection = ctx.connection(payload.connection)
    if failed:
        which = f"{counted(failed, 'interview', 'interviews')} of the last {_LOOKED_BACK} days failed"
        return f"{which}: list_syncs with status failed says why, replay_syncs sends them again."
    if refused := await refused_webhooks(ctx, connection.name):
        latest = await ctx.ledger.inbox.latest_webhook(connection.name)
        if latest is None or refused[0].at > latest.received_at:
            return f"The last webhook was refused. {refused[0].detail['setting']}"
    if connection.missing:
        return f"Not set: {', '.join(connection.missing)}. check_connection says where each comes from."
    return None


GET_OVERVIEW = Operation.of(
    run,
    subject="results",
    title="Get the day's overview",
    summary="Show a connection's UTC day: interviews by outcome, launches that run or wait, pauses, credits, "
    "and the one next step. Use it first. Changes nothing and calls neither Koji nor Amplitude.",
    guidance="Not for whether credentials work: check_connection.",
    example=Example(
        {},
        {
            "connection": "default",
            "day": examples.AT[:10],
            "received": 4,
            "synced": 2,
            "pending": 1,
            "skipped": {"below_quality_gate": 1},
            "failed": {},
            "launches": [examples.part(OverviewLaunch, {**examples.PAUSED, "credits_waiting": 36})],
            "pauses": [],
            "credits_used": 28,
            "credits_cap": 100,
            "credits_each": 3,
            "credits_forecast": 0,
            "next_step": f"Launch {examples.LAUNCH_ID} is paused (koji_credits): get_launch says why.",
        },
    ),
    effect=Effect.READ,
)
