"""List syncs, newest first."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from connector.context import Context
from connector.domain.results.sync import InboundWebhook, ListFilter, Sync
from connector.errors import InvalidInput
from connector.service.execution.operation import (
    Effect,
    ListInput,
    Operation,
    Output,
)
from connector.service.execution.paging import bound
from connector.service.views.sync import SyncOutput, flat, unreadable


class ListSyncsInput(ListInput):
    """Which syncs."""

    status: Literal["synced", "skipped", "pending", "failed", "unreadable"] | None = Field(
        None, description="Only syncs of this status."
    )
    reason: str | None = Field(
        None, max_length=64, description="Only syncs of this reason, such as anonymous."
    )
    since: str | None = Field(None, description="Only what first came in at or after this time, ISO 8601.")
    until: str | None = Field(None, description="Only what first came in before this time, ISO 8601.")


class ListSyncsOutput(Output):
    """One page of syncs."""

    items: list[SyncOutput] = Field(description="Syncs, newest first.")
    next_cursor: str | None = Field(
        description="Give it as cursor to get the next page; null on the last one."
    )
    has_more: bool = Field(description="Whether there is a next page.")


_NO_ID = "no_interview_id"
_Place = Annotated[int, Field(ge=0, lt=2**63)]  # as large as a column holds
_Position = tuple[tuple[_Place, str] | None, _Place | None]
_POSITION: TypeAdapter[_Position] = TypeAdapter(_Position, config=ConfigDict(strict=True))


async def run(ctx: Context, given: ListSyncsInput) -> ListSyncsOutput:
    """Return one page: syncs and unreadable deliveries, merged by the time of their first receipt."""
    after, before = _position(given.cursor)
    since, until = bound("since", given.since), bound("until", given.until)
    syncs: list[Sync] = []
    if given.status != "unreadable":
        where = ListFilter(status=given.status, reason=given.reason, since=since, until=until)
        syncs = await ctx.ledger.syncs.listed(given.connection, where, limit=given.limit + 1, after=after)
    deliveries: list[InboundWebhook] = []
    if given.status in (None, "unreadable") and given.reason in (None, _NO_ID):
        deliveries = await _unreadable(ctx, given, since, until, before)
    merged: list[Sync | InboundWebhook] = sorted([*syncs, *deliveries], key=_at, reverse=True)
    page = merged[: given.limit]
    more = len(merged) > given.limit
    return ListSyncsOutput(
        items=[SyncOutput(**flat(one)) if isinstance(one, Sync) else unreadable() for one in page],
        next_cursor=_cursor(page, after, before) if more else None,
        has_more=more,
    )


async def _unreadable(
    ctx: Context, given: ListSyncsInput, since: int | None, until: int | None, before: int | None
) -> list[InboundWebhook]:
    """Return one more than a page of unreadable deliveries within the times, newest first."""
    wanted: list[InboundWebhook] = []
    while len(wanted) <= given.limit:
        found = await ctx.ledger.inbox.unreadable(given.connection, limit=given.limit + 1, before=before)
        wanted += [
            one
            for one in found
            if (since is None or one.received_at >= since) and (until is None or one.received_at < until)
        ]
        if len(found) <= given.limit:
            break
        before = found[-1].id
    return wanted[: given.limit + 1]


def _at(one: Sync | InboundWebhook) -> tuple[int, str]:
    return (one.first_received_at, one.interview_id) if isinstance(one, Sync) else (one.received_at, "")


def _cursor(page: list[Sync | InboundWebhook], after: tuple[int, str] | None, before: int | None) -> str:
    for one in page:
        if isinstance(one, Sync):
            after = (one.first_received_at, one.interview_id)
        else:
            before = one.id
    return base64.urlsafe_b64encode(json.dumps([after, before]).encode()).decode()


def _position(cursor: str | None) -> _Position:
    if cursor is None:
        return None, None
    try:
        return _POSITION.validate_json(base64.urlsafe_b64decode(cursor))
    except ValueError:
        raise InvalidInput.of("cursor", "is not one of ours; take next_cursor of the page before") from None


LIST_SYNCS = Operation(
    name="list_syncs",
    title="List syncs",
    summary=(
        "List interviews that came in and what became of them, newest first: synced, skipped, pending, "
        "failed or "
        "unreadable. Use it to find failures and their reasons. Changes nothing."
    ),
    input=ListSyncsInput,
    output=ListSyncsOutput,
    run=run,
    effect=Effect.READ,
)
