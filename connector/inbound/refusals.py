"""What is remembered of webhooks that were refused: enough to find the right setting, nothing of their content."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import structlog

from connector.errors import StoreUnavailable
from connector.ports import Clock, Ledger
from connector.signature import Refused

KEPT = 5
_AT_MOST_EVERY = 1_000
_NAMES = 40
_log = structlog.get_logger(__name__)


class Refusals:
    """Notes refused webhooks and pings, each kind at most once a second, so that a flood costs nothing."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._last = {"refused": 0, "ping": 0}

    async def refused(
        self,
        connection: str,
        headers: list[tuple[bytes, bytes]],
        size: int,
        refused: list[Refused],
        *,
        configured: bool,
    ) -> None:
        """Note a refused webhook: header names, lengths, schemes tried and why each failed."""
        tried = [
            {"header": attempt.header, "scheme": attempt.scheme, "why": attempt.why}
            for result in refused
            for attempt in result.attempts
        ][:10]
        stale = any(result.stale for result in refused)
        detail = {
            "body_bytes": size,
            "headers": _names(headers),
            "tried": tried,
            "setting": _setting(configured=configured, stale=stale, tried=bool(tried)),
        }
        await self._note(connection, "refused", detail, KEPT)

    async def ping(self, connection: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Note a test call that nobody signed."""
        await self._note(connection, "ping", {"headers": _names(headers)}, 1)

    async def _note(self, connection: str, kind: str, detail: dict[str, Any], keep: int) -> None:
        now = self._clock.now()
        if now - self._last[kind] < _AT_MOST_EVERY:
            return
        self._last[kind] = now
        _log.info("webhook_not_accepted", connection=connection, kind=kind, setting=detail.get("setting"))
        with suppress(StoreUnavailable):
            await self._ledger.note(connection, kind, detail, now, keep)


def _names(headers: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    return [{"name": name.decode("latin-1")[:100], "length": len(value)} for name, value in headers[:_NAMES]]


def _setting(*, configured: bool, stale: bool, tried: bool) -> str:
    if not configured:
        return "KOJI_WEBHOOK_SECRET is not set: copy the secret that Koji shows beside the webhook."
    if stale:
        return "The signature is right, its time is not: check this machine's clock, or raise KOJI_TIMESTAMP_TOLERANCE_SECONDS."
    if tried:
        return "A signature came, made with another secret or over other bytes: check KOJI_WEBHOOK_SECRET, and that no proxy changes the body."
    return "No header looks like a signature: check KOJI_SIGNATURE_HEADER and KOJI_SIGNATURE_SCHEME, and that a proxy passes headers on."
