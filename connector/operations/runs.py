"""Runs over many interviews: how they are started and shown."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from connector.models import Stage
from connector.operations.base import Output
from connector.ports import Context, RunProgress

CHUNK = 500
_FIRST = 0.05
_LONGEST = 0.5


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

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        """Tell where a running run ends."""
        return ("get_run", {"run_id": self.run_id}) if self.status == "running" else None


def new_run_id() -> str:
    """Return an id that nobody guesses."""
    return f"run_{secrets.token_hex(12)}"


def chunks(items: Sequence[str]) -> list[Sequence[str]]:
    """Return items in pieces that one transaction takes easily."""
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]


async def shown(ctx: Context, progress: RunProgress) -> RunOutput:
    """Return a run as it is answered."""
    return RunOutput(
        run_id=progress.run_id,
        status="running" if progress.pending else "finished",
        total=progress.total,
        pending=progress.pending,
        synced=progress.synced,
        skipped=dict(progress.skipped),
        failed=dict(progress.failed),
        eta_seconds=await _eta(ctx, progress),
    )


async def _eta(ctx: Context, progress: RunProgress) -> int:
    """Return seconds: everything that waits to be read shares the key's calls a minute."""
    if not progress.pending:
        return 0
    connection = ctx.settings.connections.get(progress.connection)
    if connection is None or not progress.unread:
        return 1
    sharing = [c.name for c in ctx.settings.connections.values() if c.koji_lane == connection.koji_lane]
    waiting = await ctx.ledger.waiting(Stage.READ, sharing)
    return -(-waiting * 61 // connection.koji_rate_limit_per_minute)


async def until_finished(ctx: Context, run_id: str, seconds: float) -> RunOutput:
    """Return the run as it finished, or as it is after `seconds`."""
    until = ctx.clock.now() + seconds * 1000
    pause = _FIRST
    while True:
        progress = await ctx.ledger.run_progress(run_id)
        assert progress is not None  # noqa: S101 - the caller has just created it
        if not progress.pending or ctx.clock.now() >= until or ctx.stopping.is_set():
            return await shown(ctx, progress)
        await ctx.clock.sleep(pause)
        pause = min(pause * 1.5, _LONGEST)
