"""List syncs, newest first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connector.context import Context
from connector.domain.people.same_person import member
from connector.domain.results.koji_values import identifier
from connector.domain.results.mapping import iso
from connector.domain.results.sync import InboundWebhook, ListFilter, Sync
from connector.service.execution.operation import Effect, Example, ListInput, Operation
from connector.service.execution.paging import Cursor, Page, Place, bounds
from connector.service.views import examples
from connector.service.views.sync import UNREADABLE, SyncOutput, flat


class ListSyncsInput(ListInput):
    """The syncs to list."""

    status: Literal["synced", "skipped", "pending", "failed", "unreadable"] | None = Field(
        None, description="Only syncs of this status."
    )
    reason: str | None = Field(
        None, max_length=64, description="Only syncs of this reason, such as anonymous."
    )
    search: str | None = Field(
        None,
        max_length=1_024,
        description="Only syncs of this interview id, or of this person's e-mail or user id.",
    )
    since: str | None = Field(None, description="Only what first came in at or after this time, ISO 8601.")
    until: str | None = Field(None, description="Only what first came in before this time, ISO 8601.")


class ListedSync(SyncOutput):
    """A sync in a list."""

    received_at: str = Field(description="When it first came in, ISO 8601 in UTC.")


class ListSyncsOutput(Page[ListedSync]):
    """One page of syncs."""

    items: list[ListedSync] = Field(description="Syncs, newest first.")


_NO_ID = "no_interview_id"
_Position = tuple[tuple[int, str] | None, int | None]
_CURSOR: Cursor[_Position] = Cursor(tuple[tuple[Place, str] | None, Place | None])


async def run(ctx: Context, payload: ListSyncsInput) -> ListSyncsOutput:
    """Return one page of syncs and unreadable webhooks, merged by the time of their first receipt."""
    after, before = _CURSOR.read(payload.cursor) or (None, None)
    since, until = bounds(payload.since, payload.until)
    where = ListFilter(status=payload.status, reason=payload.reason, since=since, until=until)
    syncs: list[Sync] = []
    if payload.search is not None:
        syncs = [
            sync
            for sync in await _searched(ctx, payload.connection, payload.search)
            if _is_listed(sync, where) and (after is None or _at(sync) < after)
        ]
    elif payload.status != "unreadable":
        syncs = await ctx.ledger.syncs.listed(payload.connection, where, limit=payload.limit + 1, after=after)
    webhooks: list[InboundWebhook] = []
    if payload.search is None and payload.status in (None, "unreadable") and payload.reason in (None, _NO_ID):
        webhooks = await _unreadable(ctx, payload, since, until, before)
    merged: list[Sync | InboundWebhook] = sorted([*syncs, *webhooks], key=_at, reverse=True)
    page = merged[: payload.limit]
    for row in page:
        if isinstance(row, Sync):
            after = (row.first_received_at, row.interview_id)
        else:
            before = row.id
    items = [
        ListedSync(**(flat(row) if isinstance(row, Sync) else UNREADABLE), received_at=iso(_at(row)[0]))
        for row in page
    ]
    return ListSyncsOutput.of(items, _CURSOR.after(merged, payload.limit, lambda _: (after, before)))


async def _searched(ctx: Context, name: str, search: str) -> list[Sync]:
    """Return the interview whose id a text is, and those of the person that it names."""
    trusted = ctx.connection(name).connector_trust_external_id
    history = await ctx.ledger.persons.find(name, member(search, search, None), trust_external_id=trusted)
    found = {sync.interview_id: sync for sync in history.interviews}
    if interview_id := identifier(search):
        found |= await ctx.ledger.syncs.find_many(name, [interview_id])
    return list(found.values())


def _is_listed(sync: Sync, where: ListFilter) -> bool:
    return (
        where.status in (None, sync.status)
        and where.reason in (None, sync.reason)
        and (where.since or 0) <= sync.first_received_at
        and (where.until is None or sync.first_received_at < where.until)
    )


async def _unreadable(
    ctx: Context, payload: ListSyncsInput, since: int | None, until: int | None, before: int | None
) -> list[InboundWebhook]:
    """Return one more than a page of unreadable webhooks within the times, newest first."""
    found: list[InboundWebhook] = []
    while len(found) <= payload.limit:
        read = await ctx.ledger.inbox.unreadable(payload.connection, limit=payload.limit + 1, before=before)
        found += [
            webhook
            for webhook in read
            if (since or 0) <= webhook.received_at and (until is None or webhook.received_at < until)
        ]
        if len(read) <= payload.limit:
            break
        before = read[-1].id
    return found[: payload.limit + 1]


def _at(row: Sync | InboundWebhook) -> tuple[int, str]:
    return (row.first_received_at, row.interview_id) if isinstance(row, Sync) else (row.received_at, "")


LIST_SYNCS = Operation.of(
    run,
    subject="results",
    title="List syncs",
    summary="List interviews that came in and what became of them, newest first: synced, skipped, pending, "
    "failed or unreadable. Use it to find failures and their reasons. Changes nothing.",
    guidance="Not for the analysis itself: get_interview_analysis.",
    example=Example({"status": "synced"}, examples.page({**examples.SYNC, "received_at": examples.AT})),
    effect=Effect.READ,
)
