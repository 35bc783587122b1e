"""Sync one interview: read it from Koji if needed, decide, map and send."""

from __future__ import annotations

from pydantic import Field

from connector.context import Context
from connector.domain.results.interview import Stage, SyncStatus
from connector.domain.results.observation import Observation
from connector.domain.results.replay import call
from connector.domain.results.sync import Sync
from connector.errors import NotConfigured
from connector.operations.preview_interview_sync import PreviewOutput, preview
from connector.service.attribution import recognised
from connector.service.execution.operation import Effect, Example, Operation, WaitInput
from connector.service.execution.polling import poll
from connector.service.input.sync_input import InterviewInput
from connector.service.lane_pause import pause_of_lanes, raise_for_pause
from connector.service.views import examples
from connector.service.views.sync import SyncOutput, flat

_DEDUPLICATED_FOR = 7 * 86_400_000  # ms


class SyncInput(InterviewInput, WaitInput):
    """The interview to sync, and how."""

    force: bool = Field(
        default=False,
        description="Read Koji again and send again with the same insert ids. Never overrides anonymity or "
        "the quality gate.",
    )
    dry_run: bool = Field(
        default=False, description="Only show what would be sent; the same as preview_interview_sync."
    )


async def run(ctx: Context, payload: SyncInput) -> SyncOutput | PreviewOutput:
    """Sync one interview; wait for the end for `wait_seconds`."""
    if payload.dry_run:
        return await preview(ctx, payload, force=payload.force)
    connection = ctx.connection(payload.connection)
    observation = payload.observation(connection, ctx.clock.now(), force=payload.force)
    (observation,) = await recognised(ctx, [observation])
    key = observation.key
    before = await ctx.ledger.syncs.find(*key)
    _require_keys(observation, before)
    changed = await ctx.ledger.syncs.revise(
        [key],
        lambda syncs, people: [call(syncs.get(key), observation, people)],
        observations=[observation],
        record=payload.webhooks(connection, observation.interview.interview_id, observation.at),
    )
    ctx.wake()
    sync = await _until_ended(ctx, changed[0], payload.wait_seconds)
    output = SyncOutput(**flat(sync))
    output.warning = _warning(before, observation, sync) or output.warning
    await output.raise_failure(ctx)
    return output


def _require_keys(observation: Observation, before: Sync | None) -> None:
    name = observation.rules.connection
    if not observation.rules.can_send:
        raise NotConfigured.of("AMPLITUDE_API_KEY", name)
    unread = before is None or before.stage is Stage.READ or observation.force
    if not observation.rules.can_read and not observation.from_call and unread:
        then = "set it, or give the interview's values with the call"
        raise NotConfigured.of("KOJI_API_KEY", name, then)


async def _until_ended(ctx: Context, sync: Sync, seconds: float) -> Sync:
    """Return the sync once it has ended, or its state after `seconds`. Raises as `raise_for_pause` does."""

    async def read(before: Sync) -> Sync:
        return await ctx.ledger.syncs.find(before.connection, before.interview_id) or before

    connection = ctx.connection(sync.connection)
    async for present in poll(ctx, seconds, sync, read, first=0.01, longest=0.25):
        if present.stage is None or present.reason == "not_configured":
            break
        lane = connection.koji_lane if present.stage is Stage.READ else connection.amplitude_lane
        if pause := await pause_of_lanes(ctx, [lane]):
            raise_for_pause(pause, flat(present))
    return present


def _warning(before: Sync | None, observation: Observation, sync: Sync) -> str | None:
    if not observation.force or before is None or before.frozen_at is None:
        return None
    if sync.status is not SyncStatus.SYNCED or observation.at - before.frozen_at < _DEDUPLICATED_FOR:
        return None
    return "First sent more than 7 days ago: Amplitude no longer knows its insert ids and may count it twice."


async def _recall(
    ctx: Context, payload: SyncInput, kept: SyncOutput | PreviewOutput
) -> SyncOutput | PreviewOutput:
    """Show the present sync: the interview may have turned out anonymous since."""
    if isinstance(kept, PreviewOutput):
        return await preview(ctx, payload, force=payload.force)
    sync = await ctx.ledger.syncs.find(payload.connection, kept.interview_id or "")
    return kept if sync is None else SyncOutput(**{**flat(sync), "warning": kept.warning})


SYNC_INTERVIEW_TO_AMPLITUDE = Operation.of(
    run,
    subject="results",
    title="Sync an interview to Amplitude",
    summary="Write an interview's themes, sentiment and quality to Amplitude, as the event "
    "koji.interview_completed and user properties last_interview_*. Use it when no webhook does so, or to "
    "send one again (force). Skips anonymous respondents and quality below the gate. Counted once however "
    "often it is called.",
    guidance="Not for looking first (preview_interview_sync) or for many (backfill_interviews).",
    example=Example({"interview_id": examples.INTERVIEW_ID}, examples.SYNC),
    effect=Effect.SEND,
    recall=_recall,
)
