"""Runs over many interviews: how they are started and shown."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from connector.context import Context
from connector.domain.people.erasure import FORGET_RESPONDENT, done, left_to_people
from connector.domain.results.decision import SUPPRESSED
from connector.domain.results.interview import Stage
from connector.domain.results.run import RunProgress
from connector.service.execution.operation import Output
from connector.service.execution.polling import poll

CHUNK = 500


class Done(BaseModel):
    """What was done in one place."""

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
        description=(
            "About how long the rest takes, in seconds: reading Koji is the slow part. 0 when finished."
        )
    )

    done: list[Done] = Field(description="Of a forgetting: what was done in each place. Else empty.")
    left_to_people: list[str] = Field(description="Of a forgetting: what only a person can do. Else empty.")

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        """Tell where a running run ends."""
        return ("get_run", {"run_id": self.run_id}) if self.status == "running" else None


def new_run_id() -> str:
    """Return an id that cannot be guessed."""
    return f"run_{secrets.token_hex(12)}"


def chunks(items: Sequence[str]) -> list[Sequence[str]]:
    """Return items in chunks that one transaction takes easily."""
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]


async def shown(ctx: Context, progress: RunProgress) -> RunOutput:
    """Return a run as it is answered."""
    if progress.operation == FORGET_RESPONDENT:
        return await _forgetting(ctx, progress)
    return RunOutput(
        run_id=progress.run_id,
        status="running" if progress.pending else "finished",
        total=progress.total,
        pending=progress.pending,
        synced=progress.synced,
        skipped=dict(progress.skipped),
        failed=dict(progress.failed),
        eta_seconds=await _eta(ctx, progress),
        done=[],
        left_to_people=[],
    )


async def _forgetting(ctx: Context, progress: RunProgress) -> RunOutput:
    found = await ctx.ledger.erasures.find(progress.run_id)
    assert found is not None  # noqa: S101 - stored and pruned together with its run
    running = found.finished_at is None
    total = len(found.interviews)
    others = [name for name in ctx.settings.connections if name != found.connection]
    return RunOutput(
        run_id=found.run_id,
        status="running" if running else "finished",
        total=total,
        pending=total if running else 0,
        synced=0,
        skipped={} if running or not total else {SUPPRESSED: total},
        failed={},
        eta_seconds=1 if running else 0,
        done=[Done(place=place, what=what) for place, what in done(found)],
        left_to_people=left_to_people(found, others),
    )


async def _eta(ctx: Context, progress: RunProgress) -> int:
    """Return seconds: everything that waits to be read shares the key's calls a minute."""
    if not progress.pending:
        return 0
    connection = ctx.settings.connections.get(progress.connection)
    if connection is None or not progress.unread:
        return 1
    sharing = [c.name for c in ctx.settings.connections.values() if c.koji_lane == connection.koji_lane]
    waiting = await ctx.ledger.syncs.waiting(Stage.READ, sharing)
    return -(-waiting * 61 // connection.koji_rate_limit_per_minute)


async def until_finished(ctx: Context, run_id: str, seconds: float) -> RunOutput:
    """Return the run as it finished, or as it is after `seconds`."""

    async def read(_: RunOutput | None = None) -> RunOutput:
        progress = await ctx.ledger.runs.progress(run_id)
        assert progress is not None  # noqa: S101 - the caller has just created it
        return await shown(ctx, progress)

    run = await read()
    async for present in poll(ctx, seconds, run, read, first=0.05):
        run = present
        if run.status == "finished":
            break
    return run
