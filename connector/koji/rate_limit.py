"""Call Koji within the rate limit of the key, and share one read among callers that ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from connector.clock import Clock
from connector.domain.launches.launch import KojiStart
from connector.errors import CredentialsRejected, UpstreamRejected, UpstreamUnavailable
from connector.koji.client import KojiClient
from connector.koji.refusals import SESSION
from connector.metrics import RATE_LIMIT_WAIT

_SHARED_FOR = 2_000
_WINDOW = 61_000  # a minute and a margin: what we space evenly may arrive less evenly
_RETRY_SECONDS = 5
_Body = Mapping[str, Any]


class RateLimitedKoji:
    """Calls Koji within the key's calls a minute, over all processes.

    `take(now, interval, interactive=...)` takes one call of the limit that all processes share: it returns 0
    when the call may be made, else the milliseconds to wait before asking again.
    """

    def __init__(
        self, client: KojiClient, take: Callable[..., Awaitable[int]], clock: Clock, *, per_minute: int
    ) -> None:
        self._client = client
        self._take_call = take
        self._clock = clock
        self._interval = -(-_WINDOW // per_minute)
        self._shared: dict[str, tuple[int, asyncio.Task[_Body]]] = {}

    async def read(self, interview_id: str, *, patience: float | None = None, fresh: bool = False) -> _Body:
        """Return the interview; reads of one interview within 2 s are one call, but not a `fresh` one.

        With `patience` waiting and call together take at most that many seconds, else `UpstreamUnavailable`.
        """
        return await _patiently(self._read(interview_id, patience, fresh=fresh), patience)

    async def turn(self) -> None:
        """Wait for one call of the limit without a time limit, as workers do."""
        await self._take(None)

    async def start(self, body: _Body) -> KojiStart:
        """Start one interview with the call that `turn` has taken."""
        return await self._client.start(body)

    async def complete(
        self, interview_id: str, session_token: str, reason: str, *, patience: float | None = None
    ) -> _Body:
        """End one interview; `patience` as in `read`."""

        async def complete() -> _Body:
            await self._take(patience)
            return await self._client.complete(interview_id, session_token, reason)

        return await _patiently(complete(), patience)

    async def _read(self, interview_id: str, patience: float | None, *, fresh: bool) -> _Body:
        task = None if fresh else self._running(interview_id)
        if task is None:
            await self._take(patience)
            # another caller may have begun while this one waited
            task = None if fresh else self._running(interview_id)
            task = task or self._begin(interview_id)
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
        task = asyncio.ensure_future(self._client.read(interview_id))
        task.add_done_callback(_looked_at)
        self._shared[interview_id] = (self._clock.now(), task)
        return task

    async def _take(self, patience: float | None) -> None:
        interactive = patience is not None
        began = self._clock.elapsed()
        until = None if patience is None else self._clock.now() + patience * 1000
        while wait := await self._take_call(self._clock.now(), self._interval, interactive=interactive):
            if until is not None and self._clock.now() + wait > until:
                raise UpstreamUnavailable(
                    "Koji allows so many calls a minute, and others wait too; call again later.",
                    code="koji_budget",
                    retry_after=-(-wait // 1000),
                )
            await self._clock.sleep(wait / 1000)
        RATE_LIMIT_WAIT.observe((self._clock.elapsed() - began) / 1000)


def _looked_at(task: asyncio.Task[_Body]) -> None:
    """Keep asyncio from reporting the error of a read whose callers have left."""
    if not task.cancelled():
        task.exception()


async def _patiently(call: Coroutine[Any, Any, _Body], patience: float | None) -> _Body:
    """Return the response of a call; an interactive one has `patience` seconds and two codes of refusal."""
    if patience is None:
        return await call
    try:
        async with asyncio.timeout(patience):
            return await call
    except TimeoutError:
        raise UpstreamUnavailable(
            f"Koji did not answer within {patience:.0f} seconds; call again later.",
            retry_after=_RETRY_SECONDS,
        ) from None
    except (CredentialsRejected, UpstreamRejected) as error:
        # the message names the credential or address
        code = error.reason if error.reason == SESSION else None
        raise type(error)(error.message, code=code, retry_after=error.retry_after) from error
