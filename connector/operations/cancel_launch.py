"""Cancel the invitations of a launch that are not started yet."""

from __future__ import annotations

from pydantic import Field

from connector.context import Context
from connector.service.execution.operation import Effect, EffectInput, Example, Operation
from connector.service.views import examples
from connector.service.views.launch import LaunchOutput, find, recall, shown


class CancelLaunchInput(EffectInput):
    """The launch to cancel."""

    launch_id: str = Field(min_length=1, max_length=64, description="The launch's id.")


async def run(ctx: Context, payload: CancelLaunchInput) -> LaunchOutput:
    """Cancel every invitation that is not started; a launch that has ended stays as it is."""
    launch = await find(ctx, payload.launch_id, payload.connection)
    launch = await ctx.ledger.launches.cancel(launch.id, ctx.clock.now()) or launch
    return await shown(ctx, launch)


CANCEL_LAUNCH = Operation.of(
    run,
    subject="launches",
    title="Cancel a launch",
    summary="Stop a launch or plan: people who are not started yet stay uninvited and may be invited later. "
    "Interviews that were started go on; links that people have stay valid.",
    guidance="Interviews that are started stay: complete_interview ends one.",
    example=Example({"launch_id": examples.LAUNCH_ID}, {**examples.LAUNCH, "status": "cancelled"}),
    effect=Effect.WRITE,
    recall=recall,
)
