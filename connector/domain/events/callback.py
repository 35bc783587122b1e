"""Callbacks: the addresses to which the result of an unfinished answer is posted."""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import NamedTuple


class Callback(NamedTuple):
    """A result that a caller waits for. `answer` is what was answered, as JSON without a person.

    At `due` (ms) the result is looked up, and posted once it has ended: `ready_at` is when that was (ms),
    `tries` counts the posts since.
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


def secret_of(key: bytes, callback_id: str) -> str:
    """Return the secret that signs a callback: not stored, and the same at a repeat of its request."""
    return f"whsec_{b64encode(hmac.digest(key, f'callback:{callback_id}'.encode(), 'sha256')).decode()}"
