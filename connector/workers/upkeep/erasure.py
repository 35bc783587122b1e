"""The erasure worker erases data that was in flight during an erasure, once the data is stored."""

from __future__ import annotations

from connector.domain.lease import Lease
from connector.settings.rules import erasure_rules
from connector.workers.base import Worker


class ErasureWorker(Worker):
    """Continues erasures that could not end at once."""

    name = "erasure"

    async def drain(self, lease: Lease, /) -> int | None:
        """Process one step of one erasure; one that fails is tried again later, and never given up."""
        connections, now = self._context.settings.connections, self._clock.now()
        following = await self._ledger.erasures.next_due(list(connections), self.held())
        if following is None:
            return self.next_attempt(None)
        due, run_id, name = following
        if due > now:
            return self.next_attempt(due - now)
        step = self._ledger.erasures.go_on(lease, run_id, erasure_rules(connections[name]), now)
        if await self.attempt(run_id, name, step, self.later) is None:
            self._context.wake("amplitude")
        return 1
