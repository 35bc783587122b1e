"""The retention worker removes data older than the retention, once an hour."""

from __future__ import annotations

import structlog

from connector.domain.lease import Lease
from connector.workers.base import Worker

_HOUR = 3_600_000  # ms
_DAY = 24 * _HOUR
_log = structlog.get_logger(__name__)


class RetentionWorker(Worker):
    """Prunes bodies, names and e-mail addresses, but keeps the data for later decisions."""

    name = "upkeep"
    _next = 0

    async def drain(self, _lease: Lease, /) -> int | None:
        """Prune once an hour."""
        now = self._clock.now()
        if now >= self._next:
            await self._ledger.runs.release_backfills(now)
            before = now - self._context.settings.connector_retention_days * _DAY
            if changed := await self._ledger.retention.prune(before, now):
                _log.info("pruned", rows=changed)
            self._next = now + _HOUR
        return self._next - now
