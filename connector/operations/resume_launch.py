"""Let a paused launch go on, and decide over doubtful starts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connector.context import Context
from connector.domain.launches.launch import LaunchStatus
from connector.errors import Conflict
from connector.service.execution.operation import Effect, Operation, WaitInput
from connector.service.views.launch import (
    LaunchOutput,
    find,
    recall,
    shown,
    until,
)


class ResumeLaunchInput(WaitInput):
    """Which launch, and what of those in doubt."""

    launch_id: str = Field(min_length=1, max_length=64, description="The launch's id.")
    in_doubt: Literal["retry", "give_up"] | None = Field(
        None,
        description="What to do with starts of unknown outcome, also of a finished launch. retry: start them "
        "again; whoever was in fact started gets a second interview. give_up: count them as failed; they "
        "are not "
        "asked again. Look into Koji first.",
    )


async def run(ctx: Context, given: ResumeLaunchInput) -> LaunchOutput:
    """End the pause and try the key again; wait for the end for `wait_seconds`."""
    launch = await find(ctx, given.launch_id, given.connection)
    if launch.status is LaunchStatus.CANCELLED and given.in_doubt != "give_up":
        raise Conflict("launch_id: this launch is cancelled; launch anew instead.", code="launch_cancelled")
    lane = ctx.connection(given.connection).koji_lane
    if lane is not None:
        await ctx.ledger.leases.resume(lane)
    launch = await ctx.ledger.launches.resume(launch.id, given.in_doubt, ctx.clock.now()) or launch
    ctx.wake("koji", "links", "launches")
    launch = await until(ctx, launch, given.wait_seconds)
    output, _ = await shown(ctx, launch)
    return output


RESUME_LAUNCH = Operation(
    name="resume_launch",
    title="Resume a launch",
    summary=(
        "Let a paused launch go on after its cause was mended (credits, key, permission), and try Koji's "
        "key again. A launch that waits for approval invites all who wait then. "
        "With in_doubt, decide over starts whose outcome nobody knows. Starts interviews and spends credits."
    ),
    input=ResumeLaunchInput,
    output=LaunchOutput,
    run=run,
    effect=Effect.SEND,
    recall=recall,
)
