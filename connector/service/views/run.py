"""Start and show runs over many interviews."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, Field

from connector.context import Context
from connector.domain.people.erasure import FORGET_RESPONDENT, erased_places, left_to_people
from connector.domain.results.decision import SUPPRESSED
from connector.domain.results.interview import Stage
from connector.domain.results.sync import RunProgress
from connector.service.execution.operation import Output
from connector.service.execution.polling import poll


class Done(BaseModel):
    """What an erasure did in one place."""

    place: str = Field(description="Where, as invitations or interviews.")
    what: str = Field(description="What was done there.")


class RunOutput(Output):
    """How far a run is."""

    run_id: str = Field(description="The run's id, for get_run.")
    status: Literal["running", "finished"] = Field(description="finished: nothing of it waits any more.")
    total: int = Field(description="How many interviews it covers.")
    pending: int = Field(description="How many still wait.")
    synced: int = Field(description="How many Amplitude has.")
    skipped: dict[str, int] = Field(description="How many were skipped, by reason.")
    failed: dict[str, int] = Field(description="How many failed, by reason.")
    eta_seconds: int | None = Field(
        description="About how long the rest takes, in seconds: Koji's reads are the slow part. 0 at the end."
    )

    done: list[Done] = Field(description="Of an erasure: what was done in each place. Else empty.")
    left_to_people: list[str] = Field(description="Of an erasure: what only a person can do. Else empty.")

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        """Tell where a running run ends."""
        return ("get_run", {"run_id": self.run_id}) if self.status == "running" else None


def new_run_id() -> str:
    """Return an id that cannot be guessed."""
    return f"run_{secrets.token_hex(12)}"


async def shown(ctx: Context, progress: RunProgress) -> RunOutput:
    """Return the answer for a run."""
    if progress.operation == FORGET_RESPONDENT:
        return await _erasure(ctx, progress)
    return RunOutput(
        **asdict(progress),
        status="running" if progress.pending else "finished",
        eta_seconds=await _eta(ctx, progress),
        done=[],
        left_to_people=[],
    )


async def _erasure(ctx: Context, progress: RunProgress) -> RunOutput:
    erasure = await ctx.ledger.erasures.find(progress.run_id)
    assert erasure is not None  # noqa: S101 - stored and pruned together with its run
    running = erasure.finished_at is None
    total = len(erasure.interviews)
    others = [name for name in ctx.settings.connections if name != erasure.connection]
    return RunOutput(
        run_id=erasure.run_id,
        status="running" if running else "finished",
        total=total,
        pending=total if running else 0,
        synced=0,
        skipped={} if running or not total else {SUPPRESSED: total},
        failed={},
        eta_seconds=1 if running else 0,
        done=[Done(place=place, what=what) for place, what in erased_places(erasure)],
        left_to_people=left_to_people(erasure, others),
    )


async def _eta(ctx: Context, progress: RunProgress) -> int:
    """Return how many seconds the rest takes: all reads share the key's calls a minute."""
    if not progress.pending:
        return 0
    connection = ctx.settings.connections.get(progress.connection)
    if connection is None or not progress.unread:
        return 1
    sharing = [c.name for c in ctx.settings.connections.values() if c.koji_lane == connection.koji_lane]
    waiting = max(progress.unread, await ctx.ledger.syncs.waiting(Stage.READ, sharing))
    return -(-waiting * 61 // connection.koji_rate_limit_per_minute)


async def until_finished(ctx: Context, run_id: str, seconds: float) -> RunOutput:
    """Return the run once it has finished, or its state after `seconds`."""

    async def read(_: RunOutput | None = None) -> RunOutput:
        progress = await ctx.ledger.runs.progress(run_id)
        assert progress is not None  # noqa: S101 - the caller has just created it
        return await shown(ctx, progress)

    async for run in poll(ctx, seconds, await read(), read, first=0.05):
        if run.status == "finished":
            break
    return run
