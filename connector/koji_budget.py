"""Koji within its limits: the key's shared budget of calls, and one read for all who ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from connector.errors import UpstreamUnavailable
from connector.ports import Clock, Ledger

_SHARED_FOR = 2_000
_WINDOW = 61_000  # a minute and a margin: what we space evenly may arrive less evenly


class KojiReader(Protocol):
    """Something that reads one interview from Koji, whatever the budget."""

    async def read(self, interview_id: str) -> Mapping[str, Any]:
        """Return Koji's JSON object."""
        ...


class BudgetedKoji:
    """Reads interviews without ever going over the key's calls a minute, in any process."""

    def __init__(
        self, reader: KojiReader, ledger: Ledger, clock: Clock, *, key: str, per_minute: int
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._clock = clock
        self._key = key
        self._interval = -(-_WINDOW // per_minute)
        self._shared: dict[str, tuple[int, asyncio.Task[Mapping[str, Any]]]] = {}

    async def read(self, interview_id: str, *, patience: float | None = None) -> Mapping[str, Any]:
        """Return the interview; reads of one interview within 2 s are one call."""
        now = self._clock.now()
        self._shared = {
            name: (at, task)
            for name, (at, task) in self._shared.items()
            if now - at < _SHARED_FOR or not task.done()
        }
        if interview_id in self._shared:
            return await asyncio.shield(self._shared[interview_id][1])
        await self._take(patience)
        task = asyncio.ensure_future(self._reader.read(interview_id))
        self._shared[interview_id] = (self._clock.now(), task)
        try:
            return await asyncio.shield(task)
        except Exception:
            self._shared.pop(interview_id, None)
            raise

    async def _take(self, patience: float | None) -> None:
        interactive = patience is not None
        until = None if patience is None else self._clock.now() + patience * 1000
        while wait := await self._ledger.take_call(
            self._key, self._clock.now(), self._interval, interactive=interactive
        ):
            if until is not None and self._clock.now() + wait > until:
                raise UpstreamUnavailable(
                    "Koji allows so many calls a minute, and others wait too; call again later.",
                    code="koji_budget",
                    retry_after=-(-wait // 1000),
                )
            await self._clock.sleep(wait / 1000)
