"""List the connections, for drop-downs."""

from __future__ import annotations

from pydantic import BaseModel, Field

from connector.context import Context
from connector.service.execution.operation import Effect, Example, ListInput, Operation
from connector.service.execution.paging import Cursor, Page
from connector.service.views import examples
from connector.settings.model import Connection


class ConnectionItem(BaseModel):
    """One Koji project wired to one Amplitude project."""

    id: str = Field(description="The name to give as connection.")
    name: str = Field(description="A label: the name, and what is not configured yet.")
    size: int = Field(description="How many interviews are known on it.")


class ListConnectionsOutput(Page[ConnectionItem]):
    """The connections."""

    items: list[ConnectionItem] = Field(description="Connections by name.")


_CURSOR: Cursor[str] = Cursor(str)


async def run(ctx: Context, payload: ListInput) -> ListConnectionsOutput:
    """Return one page of connections."""
    after = _CURSOR.read(payload.cursor)
    names = [name for name in ctx.caller.visible(ctx.settings.connections) if after is None or name > after]
    items = []
    for name in names[: payload.limit]:
        totals = await ctx.ledger.counters.totals(name)
        items.append(ConnectionItem(id=name, name=_label(ctx.connection(name)), size=sum(totals.values())))
    return ListConnectionsOutput.of(items, _CURSOR.after(names, payload.limit, str))


def _label(connection: Connection) -> str:
    missing = ", ".join(connection.missing)
    return f"{connection.name} (not set: {missing})" if missing else connection.name


LIST_CONNECTIONS = Operation.of(
    run,
    subject="connections",
    title="List connections",
    summary=(
        "List the connections: each is one Koji project wired to one Amplitude project. Changes nothing."
    ),
    guidance="Not for whether one works: check_connection.",
    example=Example({}, examples.page({"id": "default", "name": "default", "size": 3})),
    effect=Effect.READ,
    spans_connections=True,
)
