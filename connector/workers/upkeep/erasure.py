"""The forgetting lane: erases what was in flight when somebody was forgotten, once it has landed."""

from __future__ import annotations

from connector.context import Context
from connector.domain.lease import Lease
from connector.domain.people.erasure import rules_of


class ErasureWorker:
    """Looks again at whom it could not forget wholly at once."""

    name = "forgetting"

    def __init__(self, context: Context) -> None:
        self._context = context

    async def recover(self, _lease: Lease, /) -> None:
        """Nothing to do: what is due stands in the ledger."""

    async def drain(self, lease: Lease, /) -> int | None:
        """Take one forgetting a step on."""
        ctx = self._context
        now = ctx.clock.now()
        following = await ctx.ledger.erasures.next_due(list(ctx.settings.connections))
        if following is None or following > now:
            return None if following is None else following - now
        rules = {name: rules_of(connection) for name, connection in ctx.settings.connections.items()}
        await ctx.ledger.erasures.go_on(lease, rules, now)
        ctx.wake("amplitude")
        return 1
