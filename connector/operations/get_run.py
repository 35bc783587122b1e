"""Show how far a run is."""

from __future__ import annotations

from pydantic import Field

from connector.context import Context
from connector.errors import NotFound
from connector.service.execution.operation import Effect, Example, Input, Operation
from connector.service.views import examples
from connector.service.views.run import RunOutput, shown


class GetRunInput(Input):
    """The run to show."""

    run_id: str = Field(
        min_length=1, max_length=40, description="The run_id that a backfill, replay or erasure answered."
    )


async def run(ctx: Context, payload: GetRunInput) -> RunOutput:
    """Return the run's progress."""
    progress = await ctx.ledger.runs.progress(payload.run_id)
    if progress is None or progress.connection != payload.connection:
        raise NotFound(
            "run_id: there is no such run on this connection; runs are deleted after the retention time."
        )
    return await shown(ctx, progress)


GET_RUN = Operation.of(
    run,
    subject="results",
    title="Get a run's progress",
    summary="Show how far a backfill, replay or erasure is: counts by outcome, what is left, and about "
    "how long the rest takes.",
    guidance="Not for launches: get_launch.",
    example=Example({"run_id": examples.RUN_ID}, examples.RUN),
    effect=Effect.READ,
)
