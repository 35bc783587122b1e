"""Run workers: lease each worker's lane, drain the lane while work is due, then release the lane."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress

import structlog

from connector.clock import Clock
from connector.domain.lease import Lease
from connector.errors import ConnectorError
from connector.ledger.runtime.leases import Leases
from connector.workers.base import Worker

TTL = 30_000
_POLL = 2.0
_COALESCE_SECONDS = 0.003
_STOP_WITHIN = 10.0
_log = structlog.get_logger(__name__)


class Runner:
    """Runs one asyncio task per worker. Among several processes, leases decide which process works a lane."""

    def __init__(self, leases: Leases, clock: Clock, stopping: asyncio.Event, *, lease_ms: int = TTL) -> None:
        self._leases = leases
        self._clock = clock
        self._stopping = stopping
        self._lease_ms = lease_ms
        self._owner = f"{socket.gethostname()[:24]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._wake_events: list[tuple[str, asyncio.Event]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, workers: Sequence[Worker]) -> None:
        """Start a task for each worker."""
        for worker in workers:
            wake_event = asyncio.Event()
            self._wake_events.append((worker.name.partition(":")[0], wake_event))
            self._tasks.append(
                asyncio.create_task(self._work(worker, wake_event), name=f"worker {worker.name}")
            )

    def wake(self, *kinds: str) -> None:
        """Tell workers of these kinds (intake, koji, amplitude), or all, that there may be work."""
        for kind, wake_event in self._wake_events:
            if not kinds or kind in kinds:
                wake_event.set()

    async def stop(self) -> None:
        """Wait for calls in flight, at most 10 s, and release every lane."""
        self._stopping.set()
        self.wake()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_WITHIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._tasks.clear()

    async def _work(self, worker: Worker, wake_event: asyncio.Event) -> None:
        while not self._stopping.is_set():
            wake_event.clear()  # also if another process owns the lane, else this loop would spin
            try:
                lease = await self._leases.acquire(
                    worker.name, self._owner, self._clock.now(), self._lease_ms
                )
                if lease is not None:
                    await self._own(worker, lease, wake_event)
            except Exception as error:  # noqa: BLE001 - no fault may end a worker
                # no wake ends this pause, else a worker that always fails would spin
                await self._wait(self._stopping, await self._failed(worker, error))
            else:
                await self._wait(wake_event, _POLL)

    async def _failed(self, worker: Worker, error: Exception) -> float:
        """Store that a worker failed; return the seconds until it may try again."""
        try:
            fault = await worker.failed("", "", error, worker.later)
        except ConnectorError as interruption:
            _log.warning("worker_interrupted", lane=worker.name, code=interruption.reason)
        except Exception:  # noqa: BLE001 - not even the fault could be stored
            _log.exception("worker_failed", lane=worker.name)
        else:
            return ((fault.due or fault.at) - fault.at) / 1000
        return _POLL

    async def _own(self, worker: Worker, lease: Lease, wake_event: asyncio.Event) -> None:
        renewal = asyncio.create_task(self._renew(lease), name=f"lease {worker.name}")
        try:
            await worker.recall()
            await worker.recover(lease)
            while not self._stopping.is_set() and not renewal.done():
                wake_event.clear()
                delay = await worker.drain(lease)
                if delay != 0:
                    await worker.succeeded("")
                    # work that arrives meanwhile is drained together: a batch costs little more than one item
                    await asyncio.sleep(_COALESCE_SECONDS)
                    await self._wait(wake_event, _POLL if delay is None else min(delay / 1000, _POLL))
        finally:
            renewal.cancel()
            with suppress(asyncio.CancelledError, ConnectorError):
                await renewal
            with suppress(ConnectorError):
                await self._leases.release(lease)

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
