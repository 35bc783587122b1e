"""Runs lanes: leases each, drains it while there is work, and gives it back."""

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
_BREATH = 0.003
_STOP_WITHIN = 10.0
_log = structlog.get_logger(__name__)


class Runner:
    """One asyncio task a lane. Beside other processes, leases decide who works it."""

    def __init__(self, leases: Leases, clock: Clock, stopping: asyncio.Event, *, lease_ms: int = TTL) -> None:
        self._leases = leases
        self._clock = clock
        self._stopping = stopping
        self._lease_ms = lease_ms
        self._owner = f"{socket.gethostname()[:24]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._bells: list[tuple[str, asyncio.Event]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, lanes: Sequence[Worker]) -> None:
        """Begin to work lanes."""
        for lane in lanes:
            bell = asyncio.Event()
            self._bells.append((lane.name.partition(":")[0], bell))
            self._tasks.append(asyncio.create_task(self._work(lane, bell), name=f"lane {lane.name}"))

    def wake(self, *kinds: str) -> None:
        """Tell lanes of these kinds (intake, koji, amplitude), or all, that there may be work."""
        for kind, bell in self._bells:
            if not kinds or kind in kinds:
                bell.set()

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

    async def _work(self, lane: Worker, bell: asyncio.Event) -> None:
        while not self._stopping.is_set():
            bell.clear()  # also where another process owns the lane: else it would be asked without rest
            try:
                lease = await self._leases.acquire(lane.name, self._owner, self._clock.now(), self._lease_ms)
                if lease is not None:
                    await self._own(lane, lease, bell)
            except ConnectorError as error:
                _log.warning("lane_interrupted", lane=lane.name, code=error.reason)
            except Exception:  # noqa: BLE001 - one fault must not end a lane; it is logged and tried again
                _log.exception("lane_failed", lane=lane.name)
            await self._wait(bell, _POLL)

    async def _own(self, lane: Worker, lease: Lease, bell: asyncio.Event) -> None:
        heart = asyncio.create_task(self._renew(lease), name=f"lease {lane.name}")
        try:
            await lane.recover(lease)
            while not self._stopping.is_set() and not heart.done():
                bell.clear()
                rest = await lane.drain(lease)
                if rest != 0:
                    # what arrives in the meantime is drained together: a batch costs little more than one
                    await asyncio.sleep(_BREATH)
                    await self._wait(bell, _POLL if rest is None else min(rest / 1000, _POLL))
        finally:
            heart.cancel()
            with suppress(asyncio.CancelledError, ConnectorError):
                await heart
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
                # the lease may still hold; its next owner is protected by the fencing token
                _log.warning("lease_not_renewed", lane=lease.lane)

    async def _wait(self, bell: asyncio.Event, seconds: float) -> None:
        if self._stopping.is_set():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await bell.wait()
