"""Preview a sync: the exact request, or why there would be none."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from connector.context import Context
from connector.domain.results.decision import Verdict
from connector.domain.results.interview import SyncStatus
from connector.domain.results.observation import Observation, heard_from_read
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import advance, suppress
from connector.errors import NotConfigured, NotFound
from connector.service.attribution import recognised
from connector.service.execution.operation import Effect, Example, Operation, Output
from connector.service.input.sync_input import InterviewInput
from connector.service.views import examples
from connector.service.views.sync import AmplitudeRequest, request
from connector.settings.rules import sync_rules

PATIENCE = 8.0


class PreviewInput(InterviewInput):
    """Which interview."""

    force: bool = Field(
        default=False, description="Preview what force would do with an interview that was synced before."
    )


class PreviewOutput(Output):
    """What a sync would do."""

    interview_id: str = Field(description="Koji's id of the interview.")
    decision: Literal["sync", "skip", "pending", "fail"] = Field(
        description=(
            "sync: request would be sent. skip: nothing would. pending: Koji's analysis is not ready. "
            "fail: it cannot be sent."
        )
    )
    reason: str | None = Field(description="Why not, unless the decision is sync.")
    request: AmplitudeRequest | None = Field(
        description="The body for Amplitude without api_key; null when nothing would be sent."
    )

    def kept(self) -> PreviewOutput:
        """Keep the decision alone."""
        return self.model_copy(update={"request": None})


async def preview(ctx: Context, given: InterviewInput, *, force: bool) -> PreviewOutput:
    """Decide and map without storing anything."""
    connection = ctx.connection(given.connection)
    told = given.observation(connection, ctx.clock.now(), force=force)
    (heard,) = await recognised(ctx.ledger.attribution, [told])
    before = await ctx.ledger.syncs.find(*heard.key)
    interview_id = heard.interview.interview_id
    if before is not None and before.status is SyncStatus.SYNCED and not force:
        return PreviewOutput(
            interview_id=interview_id, decision="skip", reason="already_synced", request=None
        )
    sync = await _redecided(before, heard, ctx)
    if not heard.given and (sync.stage == "read" or before is None or force):
        if given.connection not in ctx.koji:
            then = "set it, or give the interview's values with the call"
            raise NotConfigured.of("KOJI_API_KEY", connection.name, then)
        try:
            body = await ctx.koji[given.connection].read(interview_id, patience=PATIENCE)
        except NotFound:
            return PreviewOutput(
                interview_id=interview_id, decision="fail", reason="not_found_in_koji", request=None
            )
        read = heard_from_read(sync_rules(connection), interview_id, body, ctx.clock.now())
        (told,) = await recognised(ctx.ledger.attribution, [read])
        sync = await _redecided(sync, told, ctx)
    return await _shown(ctx, sync)


async def _redecided(before: Sync | None, heard: Observation, ctx: Context) -> Sync:
    sync = advance(before, heard, ctx.ledger.keyed_hash)
    facts = sync.facts
    if facts is not None and await ctx.ledger.erasures.is_forgotten(sync.connection, facts):
        return suppress(sync)
    return sync


async def _shown(ctx: Context, sync: Sync) -> PreviewOutput:
    decision: dict[str, Any] = {"interview_id": sync.interview_id, "reason": sync.reason, "request": None}
    if sync.stage in ("send", "hold"):
        overtaken = await ctx.ledger.sending.is_overtaken(ctx.same_amplitude(sync.connection), sync)
        decision["request"] = request(sync, ctx.connection(sync.connection), identify=not overtaken)
        return PreviewOutput(**{**decision, "reason": None}, decision=Verdict.SYNC.value)
    verdicts = {SyncStatus.SKIPPED: Verdict.SKIP, SyncStatus.FAILED: Verdict.FAIL}
    return PreviewOutput(**decision, decision=verdicts.get(sync.status, Verdict.PENDING).value)


async def run(ctx: Context, given: PreviewInput) -> PreviewOutput:
    """Show what a sync would send."""
    return await preview(ctx, given, force=given.force)


PREVIEW_INTERVIEW_SYNC = Operation(
    name="preview_interview_sync",
    title="Preview an interview's sync",
    summary=(
        "Show the exact Amplitude request that a sync of one interview would send, or the reason why it "
        "would be skipped. Use it before the first sync or to explain a skip. Changes nothing."
    ),
    guidance="Not for what was sent already: get_sync.",
    example=Example(
        {"interview_id": examples.INTERVIEW_ID},
        examples.whole(
            PreviewOutput,
            interview_id=examples.INTERVIEW_ID,
            decision="sync",
            request=examples.REQUEST,
        ),
    ),
    input=PreviewInput,
    output=PreviewOutput,
    run=run,
    effect=Effect.READ,
)
