"""Show the receipt of one interview."""

from __future__ import annotations

from pydantic import Field

from connector.context import Context
from connector.errors import NotFound
from connector.service.execution.operation import Effect, Example, Input, Operation
from connector.service.input.sync_input import InterviewId
from connector.service.views import examples
from connector.service.views.sync import Receipt, receipt


class GetSyncInput(Input):
    """The interview to show."""

    interview_id: InterviewId = Field(description="Koji's id of the interview.")


async def run(ctx: Context, payload: GetSyncInput) -> Receipt:
    """Return what came in, the decision and its reason, what was sent, and Amplitude's response."""
    sync = await ctx.ledger.syncs.find(payload.connection, payload.interview_id)
    if sync is None:
        raise NotFound(
            "interview_id: this interview never came in on this connection; look it up with list_syncs."
        )
    received = await ctx.ledger.inbox.received(payload.connection, payload.interview_id)
    return receipt(sync, received, ctx.connection(payload.connection))


GET_SYNC = Operation.of(
    run,
    subject="results",
    title="Get an interview's receipt",
    summary="Show everything about one interview's way to Amplitude: what Koji sent, what was decided and "
    "why, the exact request, every attempt and Amplitude's answer. Use it to explain a missing or skipped "
    "interview.",
    guidance="Not for the analysis itself: get_interview_analysis.",
    example=Example(
        {"interview_id": examples.INTERVIEW_ID},
        {**examples.SYNC, "received": [], "attempts": [], "request": examples.REQUEST},
    ),
    effect=Effect.READ,
)
