"""Bring many past interviews to Amplitude without touching the user properties of newer ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial

from pydantic import Field

from connector.context import Context
from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.koji_fields import read_envelope, read_interview
from connector.domain.results.observation import Observation
from connector.domain.results.respondent import People
from connector.domain.results.sync import InboundWebhook, Sync
from connector.domain.results.transitions import advance
from connector.errors import FieldError, InvalidInput, NotConfigured
from connector.service.execution.operation import Effect, Example, Operation, WaitInput
from connector.service.views import examples
from connector.service.views.run import RunOutput, chunks, new_run_id, until_finished
from connector.settings.rules import sync_rules
from connector.text.table import Table
from connector.text.values import read_time

_COLUMNS = ("interview_id", "completed_at", "email")
_MOST = 100_000
_ENDED_UNSENT = (SyncStatus.SKIPPED, SyncStatus.FAILED)


class BackfillInput(WaitInput):
    """The interviews to bring: give exactly one of interview_ids and csv."""

    interview_ids: list[str] | None = Field(
        None, max_length=_MOST, description="Koji's ids of the interviews."
    )
    csv: str | None = Field(
        None,
        description="The text of a CSV file with a header row: interview_id, and where known completed_at "
        "(ISO 8601) and email. Koji does not tell when an interview was completed, so that one without it is "
        "skipped.",
    )


async def run(ctx: Context, payload: BackfillInput) -> RunOutput:
    """Start the backfill; wait for its end for `wait_seconds`."""
    connection = ctx.connection(payload.connection)
    if connection.amplitude_api_key is None:
        raise NotConfigured.of("AMPLITUDE_API_KEY", connection.name)
    if connection.koji_api_key is None:
        raise NotConfigured.of("KOJI_API_KEY", connection.name, "a backfill reads Koji")
    rows, rules = await asyncio.to_thread(_rows, payload), sync_rules(connection)
    run_id = new_run_id()
    for chunk in chunks(list(rows.values())):
        now = ctx.clock.now()
        observations = {
            (connection.name, interview.interview_id): Observation(
                rules=rules, interview=interview, at=now, run_id=run_id
            )
            for interview in chunk
        }
        await ctx.ledger.syncs.revise(
            list(observations),
            partial(_begin, observations=observations),
            observations=[*observations.values()],
            record=[_webhook(interview, connection.name, now) for interview in chunk],
        )
    # last, so that a crash before it leaves no run that waits for interviews which were never stored
    await ctx.ledger.runs.create(run_id, connection.name, "backfill_interviews", list(rows), ctx.clock.now())
    await ctx.ledger.runs.release_backfills(ctx.clock.now())
    ctx.wake()
    return await until_finished(ctx, run_id, payload.wait_seconds)


def _begin(
    before: Mapping[tuple[str, str], Sync],
    people: People,
    *,
    observations: Mapping[tuple[str, str], Observation],
) -> list[Sync]:
    """Return the syncs that join the run: all but those that are synced or on their way anyway."""
    return [
        advance(sync, observation, people)
        for key, observation in observations.items()
        if (sync := before.get(key)) is None or _may_join(sync)
    ]


def _may_join(sync: Sync) -> bool:
    """Tell whether a sync may join the run. One in an earlier run may: a crash may have cut that run."""
    if sync.frozen_at is not None:
        return False
    return sync.status in _ENDED_UNSENT or (sync.backfill and sync.stage in (Stage.READ, Stage.HOLD))


def _webhook(interview: Interview, connection: str, now: int) -> InboundWebhook:
    fields = {"completed_at": interview.completed_at, "respondent_email": interview.respondent_email}
    return InboundWebhook(
        connection=connection,
        received_at=now,
        source="backfill",
        state="done",
        interview_id=interview.interview_id,
        body=json.dumps({name: value for name, value in fields.items() if value is not None}),
    )


def _rows(payload: BackfillInput) -> dict[str, Interview]:
    """Return the interviews in ascending order of completion, those without a time last."""
    if (payload.csv is None) == (payload.interview_ids is None):
        raise InvalidInput.of("interview_ids", "give exactly one of interview_ids and csv")
    rows = _from_csv(payload.csv) if payload.csv is not None else _from_ids(payload.interview_ids or ())
    if not rows:
        raise InvalidInput.of("csv" if payload.csv is not None else "interview_ids", "names no interview")
    return dict(sorted(rows.items(), key=lambda item: item[1].completed_at or float("inf")))


def _from_ids(interview_ids: Sequence[str]) -> dict[str, Interview]:
    wrong = [i for i, interview_id in enumerate(interview_ids) if _id(interview_id) is None]
    _refuse([FieldError(f"/interview_ids/{i}", "is no interview id") for i in wrong], "interview_ids")
    return {interview_id: Interview(interview_id) for interview_id in interview_ids}


def _from_csv(text: str) -> dict[str, Interview]:
    table = Table("csv", text, _COLUMNS)
    if "interview_id" not in table.names:
        raise table.refused("has no column interview_id in its header row")
    if not set(table.names) <= set(_COLUMNS):
        raise table.refused(f"has a column that is not known; known are {', '.join(_COLUMNS)}")
    rows: dict[str, Interview] = {}
    errors: list[FieldError] = []
    for number, (line, row) in enumerate(table.rows(("interview_id", "completed_at"), padded=True)):
        if number >= _MOST:  # wrong and repeated rows count too, as they take as long as others
            raise table.refused(f"has more than {_MOST:,} rows; split it")
        interview = _from_row(row, line, errors)
        if interview is not None:
            rows[interview.interview_id] = interview
    _refuse(errors, "csv")
    return rows


def _from_row(row: Mapping[str, str], line: int, errors: list[FieldError]) -> Interview | None:
    interview_id, completed_at = _id(row["interview_id"]), row.get("completed_at")
    if interview_id is None:
        errors.append(FieldError("/csv", f"line {line} has no interview id"))
        return None
    if completed_at and read_time(completed_at) is None:
        detail = f"line {line}: completed_at is no time; write it like 2026-01-31T12:00:00Z"
        errors.append(FieldError("/csv", detail))
        return None
    fields = {"completed_at": completed_at, "respondent_email": row.get("email")}
    return read_interview({name: value for name, value in fields.items() if value}, interview_id, event=None)


def _id(text: str) -> str | None:
    return read_envelope({"interview_id": text}).interview_id


def _refuse(errors: Sequence[FieldError], field: str) -> None:
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise InvalidInput(f"{field}: {errors[0].detail}{more}; nothing was started.", errors=errors[:50])


BACKFILL_INTERVIEWS = Operation.of(
    run,
    subject="results",
    title="Backfill past interviews",
    summary="Bring many past interviews to Amplitude, by ids or as CSV. Reads each from Koji within Koji's "
    "limit, so that thousands take hours; get_run shows how long. Events carry their own time and leave the "
    "user table alone; user properties are written only for a user's newest interview.",
    guidance="Not for one interview (sync_interview_to_amplitude) or for failed ones (replay_syncs).",
    example=Example({"interview_ids": [examples.INTERVIEW_ID]}, examples.RUN),
    effect=Effect.SEND,
)
