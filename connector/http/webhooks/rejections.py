"""Remember refused webhooks: enough to find the wrong setting, and nothing of their content."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, NamedTuple

import structlog

from connector.clock import Clock
from connector.errors import LedgerUnavailable
from connector.ledger.runtime.diagnostics import Diagnostics
from connector.security.webhook_signature import SignatureRefused

_KEPT = {"refused": 5, "ping": 1}
_AT_MOST_EVERY = 1_000  # ms
_NAMES = 40
_log = structlog.get_logger(__name__)


class _Note(NamedTuple):
    connection: str
    kind: str
    detail: dict[str, Any]
    at: int  # ms


class Rejections:
    """Writes notes on refused webhooks and pings, at most once a second, so that a flood costs little.

    Notes wait until the second is over; only the newest of each kind are kept.
    """

    def __init__(self, diagnostics: Diagnostics, clock: Clock) -> None:
        self._diagnostics = diagnostics
        self._clock = clock
        self._waiting = {kind: deque[_Note](maxlen=keep) for kind, keep in _KEPT.items()}
        self._written_at = 0
        self._later: asyncio.Task[None] | None = None

    async def refused(
        self,
        connection: str,
        headers: list[tuple[bytes, bytes]],
        size: int,
        refused: list[SignatureRefused],
        *,
        configured: bool,
    ) -> None:
        """Note a refused webhook: names and lengths of headers, the schemes tried, and why each failed."""
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
        await self._note(connection, "refused", detail)

    async def ping(self, connection: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Note an unsigned test call."""
        await self._note(connection, "ping", {"headers": _names(headers)})

    async def close(self) -> None:
        """Write the notes that wait."""
        if self._later is not None:
            self._later.cancel()
            await asyncio.gather(self._later, return_exceptions=True)
        await self._write()

    async def _note(self, connection: str, kind: str, detail: dict[str, Any]) -> None:
        now = self._clock.now()
        self._waiting[kind].append(_Note(connection, kind, detail, now))
        wait = self._written_at + _AT_MOST_EVERY - now
        if wait <= 0:
            await self._write()
        elif self._later is None or self._later.done():
            self._later = asyncio.create_task(self._write_in(wait / 1000), name="note refused webhooks")

    async def _write_in(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self._write()

    async def _write(self) -> None:
        notes = [note for kind in self._waiting.values() for note in kind]
        if not notes:
            return
        for kind in self._waiting.values():
            kind.clear()
        self._written_at = self._clock.now()
        settings = {note.detail["setting"] for note in notes if "setting" in note.detail}
        _log.info("webhooks_not_accepted", settings=sorted(settings))
        with suppress(LedgerUnavailable):
            for note in notes:
                await self._diagnostics.add(*note, _KEPT[note.kind])


def _names(headers: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    return [{"name": name.decode("latin-1")[:100], "length": len(value)} for name, value in headers[:_NAMES]]


def _setting(*, configured: bool, stale: bool, tried: bool) -> str:
    if not configured:
        return "KOJI_WEBHOOK_SECRET is not set: copy the secret that Koji shows beside the webhook."
    if stale:
        return (
            "The signature is right, its time is not: check this machine's clock, or raise "
            "KOJI_TIMESTAMP_TOLERANCE_SECONDS."
        )
    if tried:
        return (
            "A signature came, made with another secret or over other bytes: check KOJI_WEBHOOK_SECRET, "
            "and that no proxy changes the body."
        )
    return (
        "No header looks like a signature: check KOJI_SIGNATURE_HEADER and KOJI_SIGNATURE_SCHEME, "
        "and that a proxy passes headers on."
    )
