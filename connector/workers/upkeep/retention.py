"""The retention worker removes data older than the retention, and scatters rows that changed together."""

from __future__ import annotations

import structlog

from connector.domain.lease import Lease
from connector.workers.base import Worker

_HOUR = 3_600_000  # ms
_DAY = 24 * _HOUR
_SCATTER_EVERY = 20_000  # ms; docs/privacy.md promises 30 s
_log = structlog.get_logger(__name__)


class RetentionWorker(Worker):
    """Prunes bodies, names and e-mail addresses, but keeps the data for later decisions."""

    name = "upkeep"
    _next = _next_scatter = 0

    async def drain(self, _lease: Lease, /) -> int | None:
        """Prune once an hour, scatter every 20 seconds."""
        now = self._clock.now()
        if now >= self._next_scatter:
            self._next_scatter = now + _SCATTER_EVERY
            for rewrite in (self._ledger.scatter.invitations, self._ledger.scatter.interviews):
                while await rewrite():
                    pass
        if now >= self._next:
            self._next = now + _HOUR
            await self._ledger.runs.release_backfills(now)
            before = now - self._context.settings.connector_retention_days * _DAY
            if changed := await self._ledger.retention.prune(before, now):
                _log.info("pruned", rows=changed)
        return min(self._next, self._next_scatter) - now
