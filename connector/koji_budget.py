"""Koji within its limits: the key's shared budget of calls, and one read for all who ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from connector.errors import CredentialsRejected, UpstreamRejected, UpstreamUnavailable
from connector.ports import Clock, Ledger

_SHARED_FOR = 2_000
_WINDOW = 61_000  # a minute and a margin: what we space evenly may arrive less evenly
_RETRY_SECONDS = 5
_Body = Mapping[str, Any]


class KojiReader(Protocol):
    """Something that reads one interview from Koji, whatever the budget."""

    async def read(self, interview_id: str) -> _Body:
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
        self._shared: dict[str, tuple[int, asyncio.Task[_Body]]] = {}

    async def read(self, interview_id: str, *, patience: float | None = None) -> _Body:
        """Return the interview; reads of one interview within 2 s are one call.

        With `patience` budget and call together take at most that many seconds, else `UpstreamUnavailable`.
        """
        if patience is None:
            return await self._read(interview_id, None)
        try:
            async with asyncio.timeout(patience):
                return await self._read(interview_id, patience)
        except TimeoutError:
            raise UpstreamUnavailable(
                f"Koji did not answer within {patience:.0f} seconds; call again later.",
                retry_after=_RETRY_SECONDS,
            ) from None
        except (CredentialsRejected, UpstreamRejected) as error:
            # a caller knows two codes; which credential or address it is stands in the words
            raise type(error)(error.message, retry_after=error.retry_after) from error

    async def _read(self, interview_id: str, patience: float | None) -> _Body:
        task = self._running(interview_id)
        if task is None:
            await self._take(patience)
            # somebody else may have begun while this one waited for the budget
            task = self._running(interview_id) or self._begin(interview_id)
        return await asyncio.shield(task)

    def _running(self, interview_id: str) -> asyncio.Task[_Body] | None:
        now = self._clock.now()
        self._shared = {
            name: (at, task)
            for name, (at, task) in self._shared.items()
            if not task.done() or (now - at < _SHARED_FOR and task.exception() is None)
        }
        return self._shared[interview_id][1] if interview_id in self._shared else None

    def _begin(self, interview_id: str) -> asyncio.Task[_Body]:
        task = asyncio.ensure_future(self._reader.read(interview_id))
        task.add_done_callback(_looked_at)
        self._shared[interview_id] = (self._clock.now(), task)
        return task

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


def _looked_at(task: asyncio.Task[_Body]) -> None:
    """Keep asyncio quiet about an error of a read for which nobody waits any more."""
    if not task.cancelled():
        task.exception()
