"""The Koji worker makes one call at a time with one key, and chooses the next call.

Results and single starts come first, then follow-ups, then launches. Ten calls of every minute are reserved
for launches.
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
_KEPT_FOR_LAUNCHES = 6_000  # milliseconds between two starts of launches while other calls wait


class KojiWorker(Worker):
    """Calls Koji with one key, for all connections that share it."""

    def __init__(self, context: Context, name: str, connections: tuple[str, ...], koji: Koji) -> None:
        self.name = name
        super().__init__(context)
        self._connections = connections
        starting = tuple(c for c in connections if context.connection(c).koji_invite_by == "start")
        self._pause = KojiPause(context, name, connections, starting)
        self._reads = Reads(context, connections, koji, self._pause)
        self._starts = Starts(context, starting, koji, self._pause)
        self._follow_ups = FollowUps(context, connections, koji, self._pause)
        self._last_launch = 0
        self._single_next = True

    async def recover(self, lease: Lease, /) -> None:
        """End a stopped worker's pause, and mark that worker's last start as in doubt."""
        await self._starts.recover(lease, unreachable=await self._pause.retry_now())

    async def drain(self, lease: Lease) -> int | None:
        """Make the next due call, if any."""
        if pause := await self._pause.left():
            return pause
        now = self._clock.now()
        held = self.held()
        single = await self._starts.waiting(held, single=True)
        bulk = await self._starts.waiting(held, single=False)
        if (single or bulk) and self._starts.must_probe:
            await self._starts.probe()
            return 0
        due = await self._ledger.syncs.next_due(Stage.READ, self._connections)
        reads = due is not None and due <= now
        follow_up_due = await self._follow_ups.next_due()
        if (chosen := self._chosen(single, bulk, now, reads=reads)) is not None:
            await self._start(lease, chosen)
        elif reads:
            self._single_next = True
            await self._read(lease, alone=bool(single or bulk))
        elif follow_up_due is not None and follow_up_due <= now:
            await self._follow_up(lease)
        elif bulk:
            self._last_launch = now
            await self._start(lease, bulk)
        elif self._pause.must_probe:  # no due call would show whether Koji answers again
            await self._starts.probe()
        else:
            following = [at for at in (due, follow_up_due) if at is not None]
            return self.next_attempt(max(1, min(following) - now) if following else None)
        return 0

    async def _start(self, lease: Lease, invitation: Invitation) -> None:
        start = self._starts.start(lease, invitation)
        again = self._starts.due_after(self._due_after)
        if fault := await self.attempt(invitation.id, invitation.connection, start, again):
            await self._starts.put_off(lease, invitation, fault)

    async def _follow_up(self, lease: Lease) -> None:
        if following := await self._follow_ups.next():
            silent, ending = following
            step = self._follow_ups.step(lease, silent, ending=ending)
            if fault := await self.attempt(f"follow-up {silent.id}", silent.connection, step):
                await self._follow_ups.put_off(lease, silent, fault, ending=ending)

    def _chosen(
        self, single: Invitation | None, bulk: Invitation | None, now: int, *, reads: bool
    ) -> Invitation | None:
        """Return a start that precedes all other calls: a launch's reserved start, or a single start."""
        if bulk is not None and abs(now - self._last_launch) >= _KEPT_FOR_LAUNCHES:
            self._last_launch = now
            return bulk
        if single is not None and (self._single_next or not reads):
            self._single_next = False
            return single
        return None

    async def _read(self, lease: Lease, *, alone: bool) -> None:
        """Read due interviews: a batch, or only one interview while starts wait."""
        limit = 1 if alone else _BATCH
        for sync in await self._ledger.syncs.due_reads(self._connections, self._clock.now(), limit):
            if self._context.stopping.is_set() or self._pause.is_active():
                break
            read = self._reads.read(lease, sync)
            if fault := await self.attempt(f"read {sync.interview_id}", sync.connection, read):
                await self._reads.put_off(lease, sync, fault)
