"""Pause the Koji worker until a refused key is replaced, or until an unreachable Koji answers.

A wrong URL (`koji_redirect`) counts as unreachable, because Koji refused no key.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from connector.context import Context, Koji
from connector.domain.launches.launch import AWAY, KOJI_LIMIT, KOJI_REDIRECT, KOJI_UNREACHABLE
from connector.domain.lease import KOJI_CREDITS, Pause
from connector.errors import ConnectorError, UpstreamUnavailable
from connector.koji.refusals import RateLimited
from connector.workers.backoff import CREDENTIAL_WAIT, backoff

KOJI_KEY = "koji_key"
PAUSES = frozenset({KOJI_KEY, "koji_permission", KOJI_CREDITS, KOJI_REDIRECT})
"""Errors of the key, not of one interview."""

_LIMIT = "Koji's limit of calls is reached (429): the work goes on by itself, only more slowly."
_log = structlog.get_logger(__name__)


class KojiPause:
    """The pause of one key's lane, which the ledger shows to every process."""

    def __init__(
        self, context: Context, name: str, connections: Sequence[str], starting: Sequence[str]
    ) -> None:
        self._ledger, self._clock = context.ledger, context.clock
        self._name, self._connections, self._starting = name, connections, starting
        self._until = self._began = self._failures = 0
        self._code: str | None = None
        self._reason: str | None = None  # of the connections' pause, which outlives the lane's
        self._refused_start = False

    async def retry_now(self) -> bool:
        """End a stopped worker's pause; tell whether that worker could not reach Koji.

        While Koji is unreachable, the pause stays in the ledger, so that it is reported once.
        """
        stored = await self._ledger.connection_pauses.listed(self._connections)
        self._reason = next((pause.reason for pause in stored if pause.upstream == "koji"), None)
        self._refused_start = self._reason == KOJI_CREDITS
        pauses = await self._ledger.leases.pauses()
        self._until, self._code = 0, next((p.code for p in pauses if p.lane == self._name), None)
        self._began = 0  # not known any more
        if self._code is not None and not self.is_unreachable:
            await self._end()
        return self.is_unreachable

    async def left(self) -> int:
        """Return the milliseconds left of the pause.

        An operation may end a pause early. Only an answer of Koji ends the unreachable state.
        """
        elapsed = self._clock.elapsed()
        if self._code is not None:
            stored = any(pause.lane == self._name for pause in await self._ledger.leases.pauses())
            if elapsed >= self._until or not stored:
                self._until = 0
                if not self.is_unreachable or not stored:
                    # before the next attempt: a caller who asks meanwhile waits for the attempt's outcome
                    await self._end()
        return max(0, self._until - elapsed)

    @property
    def is_unreachable(self) -> bool:
        """Tell whether Koji did not answer the last call."""
        return self._code in AWAY

    @property
    def must_probe(self) -> bool:
        """Tell whether Koji must be asked, if no call is due, whether the pause may end."""
        return self.is_unreachable or self._reason == KOJI_KEY

    async def _end(self) -> None:
        self._code = None
        await self._ledger.leases.resume(self._name)

    async def _end_all(self) -> None:
        self._code = self._reason = None
        self._refused_start = False
        await self._ledger.connection_pauses.end(self._name, self._connections, self._clock.now())

    def is_active(self) -> bool:
        """Tell whether the lane pauses now."""
        return self._clock.elapsed() < self._until

    async def answered(self, *, start: bool = False) -> None:
        """Note that Koji gave a valid answer; that to a read does not end a pause that a start began."""
        self._failures = 0
        if self._reason and (start or not self._refused_start):
            await self._end_all()
        elif self.is_unreachable:
            await self._end()

    async def for_error(self, error: ConnectorError, *, start: bool = False) -> bool:
        """Pause if an error concerns the key or all of Koji; tell whether the lane pauses."""
        if isinstance(error, UpstreamUnavailable):
            await self.for_unreachable(error)
        elif error.reason in PAUSES:
            await self.for_key(error, start=start)
        else:
            return False
        return True

    async def for_key(self, error: ConnectorError, *, start: bool = False) -> None:
        """Pause because of the key; the running launches pause until a caller resumes them."""
        _log.warning("koji_lane_paused", lane=self._name, code=error.reason)
        if error.reason == KOJI_REDIRECT:
            await self._await_koji(CREDENTIAL_WAIT, KOJI_REDIRECT, error.message)
            return
        now = self._clock.now()
        self._until, self._code = self._clock.elapsed() + CREDENTIAL_WAIT, error.reason
        self._reason, self._refused_start = error.reason, start and error.reason != KOJI_KEY
        pause = Pause(self._name, now + CREDENTIAL_WAIT, error.reason, error.message)
        await self._ledger.connection_pauses.begin(self._connections, pause, now)
        await self._ledger.launch_pauses.pause(self._connections, error.reason, now)

    async def for_unreachable(self, error: UpstreamUnavailable) -> int:
        """Pause because Koji cannot be reached, or limits its calls; return the length of the pause (ms)."""
        self._failures += 1
        wait = backoff(self._failures, error.retry_after)
        if isinstance(error, RateLimited):
            if self.is_unreachable:  # Koji answers again
                await (self._end_all() if self._reason == KOJI_UNREACHABLE else self._end())
            self._until, self._code = self._clock.elapsed() + wait, KOJI_LIMIT
            await self._ledger.leases.pause(self._name, self._clock.now() + wait, KOJI_LIMIT, _LIMIT)
            return wait
        await self._await_koji(wait, KOJI_UNREACHABLE, error.message)
        return wait

    async def _await_koji(self, wait: int, code: str, message: str) -> None:
        now = self._clock.now()
        if not self.is_unreachable:
            self._began = now
        self._until, self._code = self._clock.elapsed() + wait, code
        pause = Pause(self._name, now + wait, code, message)
        self._reason = self._reason or KOJI_UNREACHABLE
        pauses = self._ledger.launch_pauses
        await pauses.await_koji(self._connections, self._starting, pause, self._began, now)


class KojiCalls:
    """The base of reads, starts and follow-ups: the client of one key, its connections and its pause."""

    def __init__(self, context: Context, connections: Sequence[str], koji: Koji, pause: KojiPause) -> None:
        self._context, self._ledger, self._clock = context, context.ledger, context.clock
        self._connections, self._koji, self._pause = connections, koji, pause
