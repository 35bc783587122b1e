"""The retention worker removes data older than the retention, and mends what a clock that jumped put off."""

from __future__ import annotations

import structlog

from connector.context import Context
from connector.domain.access import CLOCK_JUMPED, CONFIRMED_TIME
from connector.domain.lease import Lease
from connector.workers.base import Worker

_EVERY = 20_000  # ms; docs/privacy.md promises that rows are scattered within 30 s
_HOUR = 3_600_000  # ms
_DAY = 24 * _HOUR
_JUMP = 5_000  # ms: more than a clock is adjusted by in 20 s
_log = structlog.get_logger(__name__)


class RetentionWorker(Worker):
    """Prunes bodies, names and e-mail addresses, but keeps the data for later decisions."""

    name = "upkeep"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._next = self._next_prune = self._drift = 0

    async def recover(self, _lease: Lease, /) -> None:
        """Prune at once, and forget what an earlier owner of the lane saw of the clock."""
        self._next = self._next_prune = 0
        self._drift = self._clock.now() - self._clock.elapsed()

    async def drain(self, _lease: Lease, /) -> int | None:
        """Do the small work every 20 seconds, and prune once an hour."""
        elapsed = self._clock.elapsed()
        if elapsed >= self._next:
            self._next = elapsed + _EVERY
            await self._watch_clock()
            scatter = self._ledger.scatter
            for rewrite in (scatter.invitations, scatter.interviews, scatter.webhooks):
                while await rewrite():
                    pass
            await self._delete(elapsed)
        return max(1, self._next - elapsed)

    async def _watch_clock(self) -> None:
        now = self._clock.now()
        drift = now - self._clock.elapsed()
        if abs(drift - self._drift) > _JUMP:
            seconds = (drift - self._drift) // 1_000
            _log.warning("clock_jumped", seconds=seconds)
            await self._ledger.diagnostics.add("", CLOCK_JUMPED, {"seconds": seconds}, now, 5)
        self._drift = drift
        if brought_back := await self._ledger.overdue.bring_back(now):
            _log.warning("due_times_brought_back", rows=brought_back)
            self._context.wake()

    async def _delete(self, elapsed: int) -> None:
        now, hourly = self._context.trusted_now(), elapsed >= self._next_prune
        if now is None:  # nothing is deleted until the clock has gone right for an hour
            if hourly:
                _log.warning("clock_unconfirmed", now=self._clock.now())
                self._next_prune = elapsed + _HOUR
            return
        await self._ledger.retention.delete_unused_plans(now)
        if hourly:
            await self._ledger.diagnostics.add("", CONFIRMED_TIME, {"at": now}, now, 1)
            await self._ledger.runs.release_backfills(now)
            before = now - self._context.settings.connector_retention_days * _DAY
            if changed := await self._ledger.retention.prune(before, now):
                _log.info("pruned", rows=changed)
            self._next_prune = elapsed + _HOUR
