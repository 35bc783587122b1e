"""The callback worker polls an unfinished result, and posts the final result to the caller's URL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from connector.context import Context
from connector.domain.events.callback import Callback, Result, secret_of
from connector.domain.events.event import DeliveryOutcome
from connector.domain.lease import Lease
from connector.net.names import Names
from connector.net.target_client import TargetClient
from connector.workers.base import INTERNAL_ERROR
from connector.workers.events.delivery import Message, deliver, retry_or_fail
from connector.workers.tasks import Job, TaskWorker

AT_ONCE: Final = 50
_NAMES: Final = Names(most=2 * AT_ONCE)
LONGEST_WATCH: Final = 30 * 86_400_000
_SHORTEST_DELAY, _LONGEST_DELAY = 1_000, 60_000
Look = Callable[[Context, Callback], Awaitable[Result | None]]
"""Returns the present result of a callback's call, or None if the result can no longer be known."""
_log = structlog.get_logger(__name__)


class CallbackWorker(TaskWorker):
    """Polls every due callback, and posts the final results."""

    name = "callbacks"
    at_once = AT_ONCE

    def __init__(self, context: Context, look: Look) -> None:
        super().__init__(context, context.ledger.callbacks.next_due)
        self._look = look

    async def due(self, now: int) -> list[Job]:
        """Return the callbacks that are due."""
        due = await self._ledger.callbacks.due(now, AT_ONCE)
        return [
            Job(callback.id, callback.connection, partial(self._serve_one, callback=callback))
            for callback in due
        ]

    async def _serve_one(self, lease: Lease, callback: Callback) -> None:
        now = self._clock.now()
        since = callback.ready_at or now
        failed = retry_or_fail(since, callback.tries, INTERNAL_ERROR, {}, now)
        poll = self._poll(lease, callback)
        if await self.attempt(f"{callback.id}/post", callback.connection, poll, lambda _: failed.due):
            await self._settle(lease, callback, failed, since)

    async def _poll(self, lease: Lease, callback: Callback) -> None:
        callbacks, now = self._ledger.callbacks, self._clock.now()
        result = await self._look(self._context, callback)
        if result is None or now - callback.created_at > LONGEST_WATCH:
            _log.warning("callback_dropped", operation=callback.operation, callback=callback.id)
            await callbacks.end(lease, callback.id)
        elif result.ended:
            await self._post(lease, callback, result)
        else:
            # a tenth of the callback's age, so that the result is posted at most a tenth late
            delay = min(max((now - callback.created_at) // 10, _SHORTEST_DELAY), _LONGEST_DELAY)
            await callbacks.later(lease, callback._replace(due=now + delay))

    async def _post(self, lease: Lease, callback: Callback, result: Result) -> None:
        now = self._clock.now()
        since = callback.ready_at or now
        message = Message(callback.id, result.body.encode(), since, callback.tries)
        client = TargetClient(_NAMES, allow_private=self._context.settings.connector_allow_private_targets)
        try:
            secret = secret_of(self._ledger.plan_key, callback.id)
            url = self._ledger.unseal(callback.target_url)
            attempt = await deliver(client, url, secret, message, now)
        finally:
            await client.close()
        await self._settle(lease, callback, attempt, since)

    async def _settle(self, lease: Lease, callback: Callback, attempt: DeliveryOutcome, since: int) -> None:
        callbacks = self._ledger.callbacks
        if attempt.due is not None:
            waiting = callback._replace(due=attempt.due, ready_at=since, tries=callback.tries + 1)
            await callbacks.later(lease, waiting)
            return
        if attempt.state != "delivered":
            _log.warning("callback_failed", callback=callback.id, outcome=attempt.outcome)
        await callbacks.end(lease, callback.id)
