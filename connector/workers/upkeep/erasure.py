"""The erasure worker erases data that was in flight during an erasure, once the data is stored."""

from __future__ import annotations

from connector.domain.lease import Lease
from connector.settings.rules import erasure_rules
from connector.workers.base import Worker, time_left


class ErasureWorker(Worker):
    """Continues erasures that could not end at once."""

    name = "erasure"

    async def drain(self, lease: Lease, /) -> int | None:
        """Process one step of one erasure."""
        connections, now = self._context.settings.connections, self._clock.now()
        following = await self._ledger.erasures.next_due(list(connections))
        if (wait := time_left(following, now)) != 0:
            return wait
        rules = {name: erasure_rules(connection) for name, connection in connections.items()}
        await self._ledger.erasures.go_on(lease, rules, now)
        self._context.wake("amplitude")
        return 1
