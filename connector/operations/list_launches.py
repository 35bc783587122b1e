"""List launches and plans, newest first."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from connector.context import Context
from connector.domain.results.sync import ListFilter
from connector.errors import InvalidInput
from connector.service.execution.operation import (
    Effect,
    ListInput,
    Operation,
    Output,
)
from connector.service.execution.paging import bound
from connector.service.views.launch import LaunchOutput, shown


class ListLaunchesInput(ListInput):
    """Which launches."""

    status: Literal["planning", "planned", "running", "paused", "finished", "cancelled"] | None = Field(
        None, description="Only launches of this status."
    )
    reason: str | None = Field(
        None,
        max_length=64,
        description="Only launches that paused, or whose planning ended, for this reason.",
    )
    since: str | None = Field(None, description="Only launches begun at or after this time, ISO 8601.")
    until: str | None = Field(None, description="Only launches begun before this time, ISO 8601.")


class ListLaunchesOutput(Output):
    """One page of launches."""

    items: list[LaunchOutput] = Field(description="Launches, newest first; get_launch shows their people.")
    next_cursor: str | None = Field(
        description="Give it as cursor to get the next page; null on the last one."
    )
    has_more: bool = Field(description="Whether there is a next page.")


_Position = tuple[Annotated[int, Field(ge=0, lt=2**63)], str]
_POSITION: TypeAdapter[_Position] = TypeAdapter(_Position, config=ConfigDict(strict=True))


async def run(ctx: Context, given: ListLaunchesInput) -> ListLaunchesOutput:
    """Return one page of launches, without their people."""
    where = ListFilter(
        status=given.status,
        reason=given.reason,
        since=bound("since", given.since),
        until=bound("until", given.until),
    )
    found = await ctx.ledger.launches.listed(
        given.connection, where, limit=given.limit + 1, after=_position(given.cursor)
    )
    page = found[: given.limit]
    more = len(found) > given.limit
    items = [(await shown(ctx, launch, states=()))[0] for launch in page]
    last = [page[-1].created_at, page[-1].id] if page else None
    return ListLaunchesOutput(
        items=items,
        next_cursor=base64.urlsafe_b64encode(json.dumps(last).encode()).decode() if more else None,
        has_more=more,
    )


def _position(cursor: str | None) -> _Position | None:
    if cursor is None:
        return None
    try:
        return _POSITION.validate_json(base64.urlsafe_b64decode(cursor))
    except ValueError:
        raise InvalidInput.of("cursor", "is not one of ours; take next_cursor of the page before") from None


LIST_LAUNCHES = Operation(
    name="list_launches",
    title="List launches",
    summary=(
        "List launches and plans, newest first, with their counts. Use it to find what is running, paused "
        "or in "
        "doubt. Changes nothing."
    ),
    input=ListLaunchesInput,
    output=ListLaunchesOutput,
    run=run,
    effect=Effect.READ,
)
