"""List the operations that changed something, and their callers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, Field

from connector.context import Context
from connector.domain.access import AuditFilter
from connector.domain.results.mapping import iso
from connector.service.execution.operation import Effect, Example, ListInput, Operation
from connector.service.execution.paging import Cursor, Page, Place, bounds
from connector.service.views import examples
from connector.service.views.sync import time_text


class ListAuditInput(ListInput):
    """The entries to list."""

    token: str | None = Field(None, max_length=255, description="Only what this token's name did.")
    surface: Literal["http", "cli", "census", "mcp", "console"] | None = Field(
        None, description="Only what came through this surface."
    )
    operation: str | None = Field(None, max_length=64, description="Only this operation.")
    since: str | None = Field(None, description="Only entries begun at or after this time, ISO 8601.")
    until: str | None = Field(None, description="Only entries begun before this time, ISO 8601.")


class AuditOutput(BaseModel):
    """One operation that was called."""

    id: int = Field(description="Number of the entry; it only grows.")
    at: str = Field(description="When it began, ISO 8601.")
    token: str = Field(description="Name of the token that called it.")
    surface: str = Field(description="Where the call came from: http, cli, census, mcp or console.")
    operation: str = Field(description="What was called.")
    effect: str = Field(description="What it may change: write, send or erase.")
    touched: dict[str, str] = Field(
        description="Ids in the request, and of launches and runs that were begun; never an address."
    )
    outcome: str | None = Field(
        description="done (answered; what it began may go on), dry_run, replayed (the stored answer of its "
        "idempotency key), or the code of its error; null while it is at work or when its process ended in "
        "the middle."
    )
    ended_at: str | None = Field(description="When it ended, ISO 8601.")


class ListAuditOutput(Page[AuditOutput]):
    """One page of entries."""

    items: list[AuditOutput] = Field(description="Entries, newest first.")


_CURSOR: Cursor[int] = Cursor(Place)


async def run(ctx: Context, payload: ListAuditInput) -> ListAuditOutput:
    """Return one page of the audit log."""
    since, until = bounds(payload.since, payload.until)
    where = AuditFilter(
        token=payload.token,
        surface=payload.surface,
        operation=payload.operation,
        since=since,
        until=until,
        before=_CURSOR.read(payload.cursor),
    )
    entries = await ctx.ledger.audit.listed(payload.connection, where, payload.limit + 1)
    items = [
        AuditOutput(**{**asdict(entry), "at": iso(entry.at), "ended_at": time_text(entry.ended_at)})
        for entry in entries[: payload.limit]
    ]
    return ListAuditOutput.of(items, _CURSOR.after(entries, payload.limit, lambda entry: entry.id))


LIST_AUDIT = Operation.of(
    run,
    subject="connections",
    title="List who did what",
    summary="List what was called that changes something: when, by which token, through which surface, on "
    "which ids, and how it ended; newest first. Use it to find out who launched, wrote or erased. Changes "
    "nothing.",
    guidance="Not for what became of interviews: list_syncs.",
    example=Example(
        {"operation": "cancel_launch"},
        examples.page(
            {
                "id": 1,
                "at": examples.AT,
                "token": "zapier",
                "surface": "http",
                "operation": "cancel_launch",
                "effect": "write",
                "touched": {"launch_id": examples.LAUNCH_ID},
                "outcome": "done",
                "ended_at": examples.AT,
            }
        ),
    ),
    effect=Effect.READ,
)
