"""The wave worker counts the answers of launches that stop when enough came back."""

from __future__ import annotations

from connector.domain.lease import Lease
from connector.workers.base import Worker, time_left


class WaveWorker(Worker):
    """Begins the waves of launches."""

    name = "waves"

    async def drain(self, lease: Lease, /) -> int | None:
        """Process the launches that are due; return the ms until the next is, or None."""
        connections, waves = [*self._context.settings.connections], self._ledger.waves
        for launch_id in await waves.due(connections, self._clock.now()):
            await waves.step(lease, launch_id, self._clock.now())
            self._context.wake("koji", "links")
        return time_left(await waves.next_due(connections), self._clock.now())
