"""Send failed syncs again, or read unreadable webhooks anew."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connector.context import Context
from connector.domain.results.koji_values import identifier
from connector.domain.results.run import RunItem, chunks_of
from connector.domain.results.sync import ListFilter
from connector.errors import FieldError, InvalidInput, NotFound
from connector.service.execution.operation import Effect, Example, Operation, WaitInput
from connector.service.execution.paging import bound
from connector.service.views import examples
from connector.service.views.run import RunOutput, new_run_id, until_finished


class ReplayInput(WaitInput):
    """The syncs to replay; without any field, all that failed; of a refresh, all that are synced."""

    interview_ids: list[str] | None = Field(None, max_length=100_000, description="Only these interviews.")
    status: Literal["failed", "skipped", "pending", "unreadable", "synced"] | None = Field(
        None,
        description="Syncs of this status (failed when nothing else is given). unreadable: webhooks are read "
        "again, for example after KOJI_FIELD_ALIASES was set. synced needs force.",
    )
    since: str | None = Field(None, description="Only what first came in at or after this time, ISO 8601.")
    force: bool = Field(
        default=False,
        description="Read Koji again and send again even what may have been accepted; that may count twice.",
    )
    refresh_user_properties: bool = Field(
        default=False,
        description="Write only the user properties of synced interviews again, as they are mapped now: no "
        "second event, and only each user's newest interview.",
    )


async def run(ctx: Context, payload: ReplayInput) -> RunOutput:
    """Start the replay; wait for its end for `wait_seconds`."""
    if payload.interview_ids and (payload.status or payload.since):
        raise InvalidInput.of("interview_ids", "stands beside status or since; give one of the two forms")
    step = "refresh" if payload.refresh_user_properties else "force" if payload.force else "replay"
    if step == "refresh" and (payload.force or payload.status not in (None, "synced")):
        raise InvalidInput.of("refresh_user_properties", "goes with synced interviews, without force")
    if payload.status == "unreadable":
        since = bound("since", payload.since) or 0
        step, interview_ids = "reread", await ctx.ledger.inbox.unreadable_ids(payload.connection, since)
    else:
        interview_ids = await _named(ctx, payload) if payload.interview_ids else await _matching(ctx, payload)
    run_id = new_run_id()
    chunks = chunks_of([RunItem(None, None, interview_id) for interview_id in interview_ids])
    total, now = len(interview_ids), ctx.clock.now()
    await ctx.ledger.runs.create(run_id, payload.connection, "replay_syncs", step, chunks, total, now)
    ctx.wake("runs", "intake")
    return await until_finished(ctx, run_id, payload.wait_seconds)


async def _named(ctx: Context, payload: ReplayInput) -> list[str]:
    """Return the named interviews. Raises `NotFound` for an interview that never came in."""
    names = list(dict.fromkeys(identifier(name) or name for name in payload.interview_ids or ()))
    missing = await ctx.ledger.syncs.unknown(payload.connection, names)
    unknown = [i for i, name in enumerate(names) if name in missing]
    if unknown:
        detail = "this interview never came in on this connection; sync or backfill it instead"
        raise NotFound(
            f"interview_ids: {len(unknown)} of them never came in on this connection; nothing was started.",
            errors=[FieldError(f"/interview_ids/{i}", detail) for i in unknown[:50]],
        )
    return names


async def _matching(ctx: Context, payload: ReplayInput) -> list[str]:
    status = payload.status or ("synced" if payload.refresh_user_properties else "failed")
    where = ListFilter(status=status, since=bound("since", payload.since))
    return await ctx.ledger.syncs.ids(payload.connection, where)


REPLAY_SYNCS = Operation.of(
    run,
    subject="results",
    title="Replay syncs",
    summary="Send syncs again that failed, or read webhooks again that could not be read, after their cause "
    "was mended. Interviews that Amplitude has are not sent again unless force is given. Answers a run for "
    "get_run.",
    guidance="Not for interviews that were never synced: backfill_interviews.",
    example=Example({"status": "failed"}, examples.RUN),
    effect=Effect.SEND,
)
