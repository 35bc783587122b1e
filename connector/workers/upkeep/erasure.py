"""The erasure worker: erases what was in flight when a person was erased, once it has landed."""

from __future__ import annotations

from connector.domain.lease import Lease
from connector.settings.rules import erasure_rules
from connector.workers.base import Worker, time_left


class ErasureWorker(Worker):
    """Goes on with erasures that could not end at once."""

    name = "forgetting"

    async def drain(self, lease: Lease, /) -> int | None:
        """Take one erasure a step on."""
        ctx = self._context
        now = ctx.clock.now()
        following = await ctx.ledger.erasures.next_due(list(ctx.settings.connections))
        if (wait := time_left(following, now)) != 0:
            return wait
        rules = {name: erasure_rules(connection) for name, connection in ctx.settings.connections.items()}
        await ctx.ledger.erasures.go_on(lease, rules, now)
        ctx.wake("amplitude")
        return 1
