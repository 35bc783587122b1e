"""Preview a sync: the exact request, or why there would be none."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from connector.context import Context
from connector.domain.results.decision import SyncRules, Verdict
from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.observation import Observation
from connector.domain.results.replay import call
from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import advance, read_refused
from connector.errors import NotConfigured, NotFound
from connector.service.attribution import read_from_koji, recognised
from connector.service.execution.operation import Effect, Example, Operation, Output
from connector.service.input.sync_input import InterviewInput
from connector.service.views import examples
from connector.service.views.sync import AmplitudeRequest, request

PATIENCE = 8.0


class PreviewInput(InterviewInput):
    """The interview to preview."""

    force: bool = Field(
        default=False, description="Preview what force would do with an interview that was synced before."
    )


class PreviewOutput(Output):
    """The decision of a sync, and its request."""

    interview_id: str = Field(description="Koji's id of the interview.")
    decision: Literal["sync", "skip", "pending", "fail"] = Field(
        description="sync: request would be sent. skip: nothing would. pending: Koji's analysis is not "
        "ready. fail: it cannot be sent."
    )
    reason: str | None = Field(description="Why not, unless the decision is sync.")
    request: AmplitudeRequest | None = Field(
        description="The body for Amplitude without api_key; null when nothing would be sent."
    )
    warning: str | None = Field(None, description="Which added properties would not be sent, and why.")

    def kept(self) -> PreviewOutput:
        """Keep the decision alone."""
        return self.model_copy(update={"request": None})


async def preview(ctx: Context, payload: InterviewInput, *, force: bool) -> PreviewOutput:
    """Decide and map as the sync does, without storing anything."""
    connection = ctx.connection(payload.connection)
    observation = payload.observation(connection, ctx.clock.now(), force=force)
    (observation,) = await recognised(ctx, [observation])
    before = await ctx.ledger.syncs.find(*observation.key)
    sync = call(before, observation, await _people(ctx, before, observation))
    if (
        not observation.from_call
        and (sync.stage is Stage.READ or force)
        and payload.connection not in ctx.koji
    ):
        then = "set it, or give the interview's values with the call"
        raise NotConfigured.of("KOJI_API_KEY", connection.name, then)
    if sync.stage is Stage.READ:
        sync = await _read(ctx, sync, observation.rules)
    return await _shown(ctx, sync)


async def _read(ctx: Context, sync: Sync, rules: SyncRules) -> Sync:
    """Read Koji; return the state that the worker would give the sync."""
    try:
        body = await ctx.koji[sync.connection].read(sync.interview_id, patience=PATIENCE, fresh=sync.force)
    except NotFound:
        unread = Observation(rules=rules, interview=Interview(sync.interview_id), at=ctx.clock.now())
        return read_refused(sync, "not_found_in_koji", unread, await _people(ctx, sync, unread))
    observation = await read_from_koji(ctx, rules, sync.interview_id, body)
    return advance(sync, observation, await _people(ctx, sync, observation))


async def _people(ctx: Context, sync: Sync | None, observation: Observation) -> People:
    connection, _ = observation.key
    known = [] if sync is None or sync.facts is None else [(connection, sync.facts)]
    return await ctx.ledger.respondents.known([*known, (connection, observation.interview)])


async def _shown(ctx: Context, sync: Sync) -> PreviewOutput:
    decision: dict[str, Any] = {"interview_id": sync.interview_id, "reason": sync.reason, "request": None}
    if sync.stage in (Stage.SEND, Stage.HOLD) and not sync.is_refresh:
        decision["warning"] = sync.facts.warning if sync.facts else None
        overtaken = await ctx.ledger.sending.is_overtaken(ctx.same_amplitude(sync.connection), sync)
        decision["request"] = request(sync, ctx.connection(sync.connection), identify=not overtaken)
        return PreviewOutput(**{**decision, "reason": None}, decision=Verdict.SYNC.value)
    if sync.status is SyncStatus.SYNCED and (sync.stage is None or sync.is_refresh):
        return PreviewOutput(**{**decision, "reason": "already_synced"}, decision=Verdict.SKIP.value)
    verdicts = {SyncStatus.SKIPPED: Verdict.SKIP, SyncStatus.FAILED: Verdict.FAIL}
    return PreviewOutput(**decision, decision=verdicts.get(sync.status, Verdict.PENDING).value)


async def run(ctx: Context, payload: PreviewInput) -> PreviewOutput:
    """Show what a sync would send."""
    return await preview(ctx, payload, force=payload.force)


PREVIEW_INTERVIEW_SYNC = Operation.of(
    run,
    subject="results",
    title="Preview an interview's sync",
    summary="Show the exact Amplitude request that a sync of one interview would send, or the reason why it "
    "would be skipped. Use it before the first sync or to explain a skip. Changes nothing.",
    guidance="Not for what was sent already: get_sync.",
    example=Example(
        {"interview_id": examples.INTERVIEW_ID},
        examples.whole(
            PreviewOutput, interview_id=examples.INTERVIEW_ID, decision="sync", request=examples.REQUEST
        ),
    ),
    effect=Effect.READ,
)
