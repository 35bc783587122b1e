"""List the connections, for drop-downs."""

from __future__ import annotations

from pydantic import BaseModel, Field

from connector.context import Context
from connector.service.execution.operation import (
    Effect,
    ListInput,
    Operation,
    Output,
)
from connector.settings.model import Connection


class ConnectionItem(BaseModel):
    """One Koji project wired to one Amplitude project."""

    id: str = Field(description="The name to give as connection.")
    name: str = Field(description="A label: the name, and what is not configured yet.")
    size: int = Field(description="How many interviews are known on it.")


class ListConnectionsOutput(Output):
    """The connections."""

    items: list[ConnectionItem] = Field(description="Connections by name.")
    next_cursor: str | None = Field(
        description="Give it as cursor to get the next page; null on the last one."
    )
    has_more: bool = Field(description="Whether there is a next page.")


async def run(ctx: Context, given: ListInput) -> ListConnectionsOutput:
    """Return one page of connections."""
    names = [
        name
        for name in ctx.caller.visible(ctx.settings.connections)
        if given.cursor is None or name > given.cursor
    ]
    page = names[: given.limit]
    items = []
    for name in page:
        totals = await ctx.ledger.counters.totals(name)
        items.append(ConnectionItem(id=name, name=_label(ctx.connection(name)), size=sum(totals.values())))
    more = len(names) > len(page)
    return ListConnectionsOutput(items=items, next_cursor=page[-1] if more else None, has_more=more)


def _label(connection: Connection) -> str:
    missing = [
        setting
        for setting, value in (
            ("KOJI_API_KEY", connection.koji_api_key),
            ("KOJI_WEBHOOK_SECRET", connection.koji_webhook_secret),
            ("AMPLITUDE_API_KEY", connection.amplitude_api_key),
        )
        if not value
    ]
    return f"{connection.name} (not set: {', '.join(missing)})" if missing else connection.name


LIST_CONNECTIONS = Operation(
    name="list_connections",
    title="List connections",
    summary="List the connections: each is one Koji project wired to one Amplitude project. Changes nothing.",
    input=ListInput,
    output=ListConnectionsOutput,
    run=run,
    effect=Effect.READ,
    spans_connections=True,
)
