"""The Koji lane: one call at a time with one key, and who is next.

Results and single starts come first, then silent interviews, then launches; of every minute ten calls are
kept for launches.
"""

from __future__ import annotations

from connector.context import Context, Koji
from connector.domain.launches.launch import Invitation
from connector.domain.lease import Lease
from connector.domain.results.interview import Stage
from connector.workers.base import Worker
from connector.workers.koji.follow_ups import FollowUps
from connector.workers.koji.pause import KojiPause
from connector.workers.koji.reads import Reads
from connector.workers.koji.starts import Starts

_BATCH = 20
_KEPT_FOR_LAUNCHES = 6_000  # milliseconds between two starts of launches while others are waiting


class KojiWorker(Worker):
    """Calls Koji with one key, for all connections that share it."""

    def __init__(
        self,
        context: Context,
        name: str,
        connections: tuple[str, ...],
        koji: Koji,
    ) -> None:
        self.name = name
        super().__init__(context)
        self._connections = connections
        starting = tuple(c for c in connections if context.connection(c).koji_invite_by == "start")
        self._pause = KojiPause(context, name, connections, starting)
        self._reads = Reads(context, koji, self._pause)
        self._starts = Starts(context, starting, koji, self._pause)
        self._follow_ups = FollowUps(context, connections, koji, self._pause)
        self._last_launch = 0
        self._single_next = True

    async def recover(self, lease: Lease, /) -> None:
        """Try again whatever pause an earlier owner left; its last start is in doubt."""
        await self._starts.recover(lease, unreachable=await self._pause.forget())

    async def drain(self, lease: Lease) -> int | None:
        """Make the next call, if there is one to make."""
        if pause := await self._pause.left():
            return pause
        now = self._context.clock.now()
        single = await self._starts.waiting(single=True)
        bulk = await self._starts.waiting(single=False)
        if (single or bulk) and self._starts.must_probe:
            await self._starts.probe()
            return 0
        due = await self._context.ledger.syncs.next_due(Stage.READ, self._connections)
        reads = due is not None and due <= now
        silent = await self._follow_ups.next_due()
        if (chosen := self._chosen(single, bulk, now, reads=reads)) is not None:
            await self._starts.start(lease, chosen)
        elif reads:
            self._single_next = True
            await self._read(lease, alone=bool(single or bulk))
        elif silent is not None and silent <= now:
            await self._follow_ups.step(lease)
        elif bulk:
            self._last_launch = now
            await self._starts.start(lease, bulk)
        elif self._pause.is_unsure:  # nothing is due that would show whether Koji answers again
            await self._starts.probe()
        else:
            following = [at for at in (due, silent) if at is not None]
            return max(1, min(following) - now) if following else None
        return 0

    def _chosen(
        self, single: Invitation | None, bulk: Invitation | None, now: int, *, reads: bool
    ) -> Invitation | None:
        """Return whose start comes before everything else: a launch's share, or a single start's turn."""
        if bulk is not None and abs(now - self._last_launch) >= _KEPT_FOR_LAUNCHES:
            self._last_launch = now
            return bulk
        if single is not None and (self._single_next or not reads):
            self._single_next = False
            return single
        return None

    async def _read(self, lease: Lease, *, alone: bool) -> None:
        """Read the interviews that are due; one alone when others wait for their turn too."""
        now = self._context.clock.now()
        limit = 1 if alone else _BATCH
        for sync in await self._context.ledger.syncs.due_reads(self._connections, now, limit):
            if self._context.stopping.is_set() or self._pause.stands():
                break
            await self._reads.read(lease, sync)
