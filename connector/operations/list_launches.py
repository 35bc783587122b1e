"""List launches and plans, newest first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connector.context import Context
from connector.domain.results.sync import ListFilter
from connector.service.execution.operation import Effect, Example, ListInput, Operation
from connector.service.execution.paging import Cursor, Page, Place, bounds
from connector.service.views import examples
from connector.service.views.launch import LaunchOutput, shown


class ListLaunchesInput(ListInput):
    """The launches to list."""

    status: Literal["planning", "planned", "running", "paused", "finished", "cancelled"] | None = Field(
        None, description="Only launches of this status."
    )
    reason: str | None = Field(
        None, max_length=64, description="Only launches that paused or whose planning ended for this reason."
    )
    since: str | None = Field(None, description="Only launches begun at or after this time, ISO 8601.")
    until: str | None = Field(None, description="Only launches begun before this time, ISO 8601.")


class ListLaunchesOutput(Page[LaunchOutput]):
    """One page of launches."""

    items: list[LaunchOutput] = Field(description="Launches, newest first; get_launch shows their people.")


_CURSOR: Cursor[tuple[int, str]] = Cursor(tuple[Place, str])


async def run(ctx: Context, payload: ListLaunchesInput) -> ListLaunchesOutput:
    """Return one page of launches, without their people."""
    since, until = bounds(payload.since, payload.until)
    where = ListFilter(
        status=payload.status,
        reason=payload.reason,
        since=since,
        until=until,
    )
    launches = await ctx.ledger.launches.listed(
        payload.connection, where, limit=payload.limit + 1, after=_CURSOR.read(payload.cursor)
    )
    items = [await shown(ctx, launch, people=()) for launch in launches[: payload.limit]]
    cursor = _CURSOR.after(launches, payload.limit, lambda launch: (launch.created_at, launch.id))
    return ListLaunchesOutput.of(items, cursor)


LIST_LAUNCHES = Operation.of(
    run,
    subject="launches",
    title="List launches",
    summary="List launches and plans, newest first, with their counts. Use it to find what is running, "
    "paused or in doubt. Changes nothing.",
    guidance="Not for one launch's people: get_launch.",
    example=Example({"status": "finished"}, examples.page(examples.LAUNCH)),
    effect=Effect.READ,
)
