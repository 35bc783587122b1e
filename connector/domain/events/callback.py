"""Callbacks: the addresses to which the result of an unfinished answer is posted."""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import NamedTuple, Protocol

from connector.domain.lease import Lease


class Callback(NamedTuple):
    """A result that somebody waits for. `answer` is what was answered, as JSON that names nobody.

    When `due` (ms) it is looked at, and posted once it has ended: `ready_at` is when that was (ms), `tries`
    counts the posts since.
    """

    id: str
    connection: str
    operation: str
    answer: str
    target_url: str
    created_at: int
    due: int
    ready_at: int | None = None
    tries: int = 0


class Result(NamedTuple):
    """An answer as it stands, as JSON, and whether that is its end."""

    body: str
    ended: bool


class Callbacks(Protocol):
    """Callbacks that are still owed. Every method raises `StoreUnavailable`."""

    async def add(self, callback: Callback) -> None:
        """Store a callback; one that is there already stays as it is."""
        ...

    async def due(self, now: int, limit: int) -> list[Callback]:
        """Return callbacks that are due, the longest due first."""
        ...

    async def next_due(self) -> int | None:
        """Return when the next one is due (ms)."""
        ...

    async def later(self, lease: Lease, callback: Callback) -> None:
        """Store when one is due again, and how often it was tried since when."""
        ...

    async def end(self, lease: Lease, callback_id: str) -> None:
        """Delete one with its address: it was posted, or is given up."""
        ...


def secret_of(key: bytes, callback_id: str) -> str:
    """Return the secret that signs a callback: stored nowhere, and the same at a repeat of its request."""
    return f"whsec_{b64encode(hmac.digest(key, f'callback:{callback_id}'.encode(), 'sha256')).decode()}"
