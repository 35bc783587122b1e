"""Find what was noted of webhooks that were not accepted."""

from __future__ import annotations

from connector.context import Context
from connector.domain.access import Diagnostic

_REFUSED_KEPT = 3_600_000  # ms
_REFUSED_SHOWN = 5


async def noted(ctx: Context, connection: str, kind: str, since: int) -> list[Diagnostic]:
    """Return the diagnostics of a connection's webhook URL and of the common one, newest first."""
    own, common = [await ctx.ledger.diagnostics.since(name, kind, since) for name in (connection, "")]
    return sorted((*own, *common), key=lambda note: note.at, reverse=True)


async def refused_webhooks(ctx: Context, connection: str) -> list[Diagnostic]:
    """Return the last five refused webhooks of the past hour, newest first."""
    refused = await noted(ctx, connection, "refused", ctx.clock.now() - _REFUSED_KEPT)
    return refused[:_REFUSED_SHOWN]
