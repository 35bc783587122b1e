"""Bring many past interviews to Amplitude without touching the user properties of newer ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, PrivateAttr

from connector.context import Context
from connector.domain.people.same_person import member
from connector.domain.people.user_id import is_placeholder
from connector.domain.results.koji_values import identifier
from connector.domain.results.run import RunItem, chunks_of
from connector.errors import FieldError, InvalidInput, NotConfigured
from connector.service.execution.operation import Effect, Example, Operation, WaitInput
from connector.service.views import examples
from connector.service.views.run import RunOutput, new_run_id, until_finished
from connector.settings.model import Connection
from connector.text.table import Table
from connector.text.values import read_time

_COLUMNS = ("interview_id", "completed_at", "email")
_MOST = 100_000


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

    _stored: tuple[Sequence[str], int] | None = PrivateAttr(None)

    def condensed(self, _connections: Mapping[str, Connection]) -> Self:
        """Return the input without its lists, which are `stored` instead. Raises `InvalidInput`."""
        if self._stored is not None:
            return self
        if self.idempotency_key is not None:
            self.digest()  # of the interviews, too
        made = self.model_copy(update={"interview_ids": None, "csv": None})
        items = _items(self)
        made._stored = chunks_of(items), len(items)  # noqa: SLF001 - it is one of us
        return made

    @property
    def stored(self) -> tuple[Sequence[str], int]:
        """Return chunks of the interviews, and how many they are, once the input is condensed."""
        return self._stored or ((), 0)


async def run(ctx: Context, payload: BackfillInput) -> RunOutput:
    """Start the backfill; wait for its end for `wait_seconds`."""
    connection = ctx.connection(payload.connection)
    if connection.amplitude_api_key is None:
        raise NotConfigured.of("AMPLITUDE_API_KEY", connection.name)
    if connection.koji_api_key is None:
        raise NotConfigured.of("KOJI_API_KEY", connection.name, "a backfill reads Koji")
    payload = await asyncio.to_thread(payload.condensed, ctx.settings.connections)
    run_id, name, now = new_run_id(), "backfill_interviews", ctx.clock.now()
    await ctx.ledger.runs.create(run_id, connection.name, name, "backfill", *payload.stored, now)
    ctx.wake("runs")
    return await until_finished(ctx, run_id, payload.wait_seconds)


def _items(payload: BackfillInput) -> list[RunItem]:
    """Return the interviews in ascending order of completion, those without a time last."""
    if (payload.csv is None) == (payload.interview_ids is None):
        raise InvalidInput.of("interview_ids", "give exactly one of interview_ids and csv")
    rows = _from_csv(payload.csv) if payload.csv is not None else _from_ids(payload.interview_ids or ())
    if not rows:
        raise InvalidInput.of("csv" if payload.csv is not None else "interview_ids", "names no interview")
    return sorted(rows.values(), key=lambda item: read_time(item.completed_at) or float("inf"))


def _from_ids(interview_ids: Sequence[str]) -> dict[str, RunItem]:
    read = [*map(identifier, interview_ids)]
    wrong = [i for i, interview_id in enumerate(read) if interview_id is None]
    _refuse([FieldError(f"/interview_ids/{i}", "is no interview id") for i in wrong], "interview_ids")
    return {interview_id: RunItem(None, None, interview_id) for interview_id in read if interview_id}


def _from_csv(text: str) -> dict[str, RunItem]:
    table = Table("csv", text, _COLUMNS)
    if "interview_id" not in table.names:
        raise table.refused("has no column interview_id in its header row")
    if unknown := [name for name in table.names if name and name not in _COLUMNS]:
        raise table.refused(f"has the column {unknown[0][:60]}; known are {', '.join(_COLUMNS)}")
    rows: dict[str, RunItem] = {}
    errors: list[FieldError] = []
    for number, (line, row) in enumerate(table.rows(("interview_id", "completed_at"), padded=True)):
        if number >= _MOST:  # wrong and repeated rows count too, as they take as long as others
            raise table.refused(f"has more than {_MOST:,} rows; split it")
        item = _from_row(row, line, errors)
        if item is not None:
            before = rows.get(item.interview_id, item)  # rows of one interview fill each other
            said = before.email or item.email, item.interview_id, before.completed_at or item.completed_at
            rows[item.interview_id] = RunItem(None, *said)
    _refuse(errors, "csv")
    return rows


def _from_row(row: Mapping[str, str], line: int, errors: list[FieldError]) -> RunItem | None:
    interview_id, completed_at = identifier(row["interview_id"]), row.get("completed_at") or ""
    if interview_id is None:
        errors.append(FieldError("/csv", f"line {line} has no interview id"))
        return None
    if is_placeholder(completed_at):
        completed_at = ""
    elif read_time(completed_at) is None:
        detail = f"line {line}: completed_at is no time; write it like 2026-01-31T12:00:00Z"
        errors.append(FieldError("/csv", detail))
        return None
    person = member(None, row.get("email"), None)
    if person.has_bad_email:
        errors.append(FieldError("/csv", f"line {line}: email is no e-mail address"))
        return None
    return RunItem(None, person.email, interview_id, completed_at or None)


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
