"""Run workers: lease each worker's lane, drain the lane while work is due, then release the lane."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from connector.clock import Clock
from connector.domain.lease import Lease
from connector.errors import ConnectorError
from connector.ledger.db.notices import ALL, FREE
from connector.ledger.runtime.leases import Leases
from connector.workers.base import Worker

TTL = 30_000
_POLL = 2.0
_COALESCE_SECONDS = 0.003
_STOP_WITHIN = 10.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Lane:
    """A worker's lane as this process sees it."""

    kind: str
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    is_owned: bool = False


class Runner:
    """Runs one asyncio task per worker. Among several processes, leases decide which process works a lane."""

    def __init__(self, leases: Leases, clock: Clock, stopping: asyncio.Event, *, lease_ms: int = TTL) -> None:
        self._leases = leases
        self._clock = clock
        self._stopping = stopping
        self._lease_ms = lease_ms
        self._owner = f"{socket.gethostname()[:24]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._lanes: list[_Lane] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, workers: Sequence[Worker]) -> None:
        """Start a task for each worker."""
        for worker in workers:
            lane = _Lane(worker.name.partition(":")[0])
            self._lanes.append(lane)
            self._tasks.append(asyncio.create_task(self._work(worker, lane), name=f"worker {worker.name}"))

    def wake(self, *kinds: str) -> None:
        """Tell workers of these kinds (intake, koji, amplitude), or all, that there may be work.

        If other processes may have such workers, they are told too.
        """
        for lane in self._lanes:
            if not kinds or lane.kind in kinds:
                lane.wake.set()
        if elsewhere := [kind for kind in kinds or (ALL,) if not self._has_all(kind)]:
            self._leases.announce(elsewhere)

    def heard(self, kinds: Collection[str]) -> None:
        """Wake workers that a process told of work, and ask again for lanes that may be free."""
        for lane in self._lanes:
            if not {ALL, lane.kind if lane.is_owned else FREE}.isdisjoint(kinds):
                lane.wake.set()

    def _has_all(self, kind: str) -> bool:
        """Tell whether this process has every lane of a kind."""
        owned = [lane.is_owned for lane in self._lanes if kind in (ALL, lane.kind)]
        return bool(owned) and all(owned)

    async def stop(self) -> None:
        """Wait for calls in flight, at most 10 s, and release every lane."""
        self._stopping.set()
        for lane in self._lanes:
            lane.wake.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_WITHIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._tasks.clear()

    async def _work(self, worker: Worker, lane: _Lane) -> None:
        while not self._stopping.is_set():
            lane.wake.clear()  # also if another process owns the lane, else this loop would spin
            try:
                lease = await self._leases.acquire(
                    worker.name, self._owner, self._clock.now(), self._lease_ms
                )
                if lease is not None:
                    await self._own(worker, lease, lane)
            except Exception as error:  # noqa: BLE001 - no fault may end a worker
                if (rest := await self._failed(worker, error)) is None:
                    await self._wait(lane.wake, _POLL)
                else:  # no wake ends this pause, else a worker that always fails would spin
                    await self._wait(self._stopping, rest)
            else:
                await self._wait(lane.wake, _POLL)

    async def _failed(self, worker: Worker, error: Exception) -> float | None:
        """Store that a worker failed; return the seconds until its next try, None if it was interrupted."""
        try:
            fault = await worker.failed("", "", error, worker.later)
        except ConnectorError as interruption:
            _log.warning("worker_interrupted", lane=worker.name, code=interruption.reason)
            return None
        except Exception:  # noqa: BLE001 - not even the fault could be stored
            _log.exception("worker_failed", lane=worker.name)
        else:
            return ((fault.due or fault.at) - fault.at) / 1000
        return _POLL

    async def _own(self, worker: Worker, lease: Lease, lane: _Lane) -> None:
        lane.is_owned = True
        renewal = asyncio.create_task(self._renew(lease), name=f"lease {worker.name}")
        try:
            await worker.recall()
            await worker.recover(lease)
            while not self._stopping.is_set() and not renewal.done():
                lane.wake.clear()
                delay = await worker.drain(lease)
                if delay != 0:
                    await worker.succeeded("")
                    # work that arrives meanwhile is drained together: a batch costs little more than one item
                    await asyncio.sleep(_COALESCE_SECONDS)
                    await self._wait(lane.wake, _POLL if delay is None else min(delay / 1000, _POLL))
        finally:
            lane.is_owned = False
            renewal.cancel()
            with suppress(asyncio.CancelledError, ConnectorError):
                await renewal
            with suppress(ConnectorError):
                await self._leases.release(lease)
            if self._stopping.is_set():
                self._leases.announce([FREE])

    async def _renew(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            try:
                if await self._leases.renew(lease, self._clock.now(), self._lease_ms) is None:
                    _log.warning("lease_lost", lane=lease.lane)
                    return
            except ConnectorError:
                # the lease may still be valid; the fencing token protects the next owner
                _log.warning("lease_not_renewed", lane=lease.lane)

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        if self._stopping.is_set():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
