"""When the Koji worker pauses: for a refused key until it is mended, for silence until Koji answers.

A wrong address (`koji_redirect`) is a silence too: no key was refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from connector.context import Context
from connector.domain.launches.launch import AWAY, KOJI_REDIRECT, KOJI_UNREACHABLE
from connector.domain.lease import Pause
from connector.errors import ConnectorError, UpstreamUnavailable
from connector.workers.backoff import CREDENTIAL_WAIT, backoff

PAUSES = frozenset({"koji_key", "koji_permission", "koji_credits", KOJI_REDIRECT})
"""What is wrong with the key, not with one interview."""

_log = structlog.get_logger(__name__)


class KojiPause:
    """The pause of one key's lane, which the ledger shows to all."""

    def __init__(
        self, context: Context, name: str, connections: Sequence[str], starting: Sequence[str]
    ) -> None:
        self._context = context
        self._name = name
        self._connections = connections
        self._starting = starting
        self._until = 0
        self._code: str | None = None
        self._began = 0
        self._failures = 0

    async def forget(self) -> bool:
        """Try again at once whatever pause an earlier owner left; tell whether it could not reach Koji.

        That it could not stands until Koji answers, so that it is not told again.
        """
        pauses = await self._context.ledger.leases.pauses()
        self._until, self._code = 0, next((one.code for one in pauses if one.lane == self._name), None)
        self._began = 0  # not known any more
        if self._code is not None and not self.is_unsure:
            await self._end()
        return self.is_unsure

    async def left(self) -> int:
        """Return how long the pause still lasts (ms).

        A pause ends before its time when an operation ends it. That Koji cannot be reached is taken
        back only by an answer.
        """
        now = self._context.clock.now()
        if self._code is not None:
            stands = await self._stands()
            if now >= self._until or not stands:
                self._until = 0
                if not self.is_unsure or not stands:
                    # ended before the next try: a caller who asks meanwhile waits for what it shows
                    await self._end()
        return max(0, self._until - now)

    @property
    def is_unsure(self) -> bool:
        """Tell whether Koji did not answer when it was last asked."""
        return self._code in AWAY

    async def _end(self) -> None:
        self._code = None
        await self._context.ledger.leases.resume(self._name)

    async def _stands(self) -> bool:
        return any(pause.lane == self._name for pause in await self._context.ledger.leases.pauses())

    def stands(self) -> bool:
        """Tell whether the lane pauses now."""
        return self._context.clock.now() < self._until

    async def answered(self) -> None:
        """Note that Koji answered sanely."""
        self._failures = 0
        if self.is_unsure:
            await self._end()

    async def for_key(self, error: ConnectorError) -> None:
        """Pause because of the key, and pause the running launches until they are resumed."""
        _log.warning("koji_lane_paused", lane=self._name, code=error.reason)
        if error.reason == KOJI_REDIRECT:
            await self._await_koji(CREDENTIAL_WAIT, KOJI_REDIRECT, error.message)
            return
        self._until, self._code = self._context.clock.now() + CREDENTIAL_WAIT, error.reason
        await self._context.ledger.leases.pause(self._name, self._until, error.reason, error.message)
        await self._context.ledger.launch_pauses.pause(
            self._connections, error.reason, self._context.clock.now()
        )

    async def for_silence(self, error: UpstreamUnavailable) -> int:
        """Pause because Koji cannot be reached; return for how long (ms)."""
        self._failures += 1
        wait = backoff(self._failures, error.retry_after)
        await self._await_koji(wait, KOJI_UNREACHABLE, error.message)
        return wait

    async def _await_koji(self, wait: int, code: str, words: str) -> None:
        now = self._context.clock.now()
        if not self.is_unsure:
            self._began = now
        self._until, self._code = now + wait, code
        pause = Pause(self._name, self._until, code, words)
        await self._context.ledger.launch_pauses.await_koji(self._starting, pause, self._began, now)
