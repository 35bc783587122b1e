"""Callbacks: addresses to which the connector posts a result that was unfinished when it was answered."""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import NamedTuple


class Callback(NamedTuple):
    """A result that a caller waits for. `answer` is the unfinished answer, as JSON without personal data.

    `scopes` are those of the caller, with spaces between; None stands for none. At `due` (ms) the result is
    looked up. Once it has ended, at `ready_at` (ms), it is posted; `tries` counts the posts. `token` names
    the caller's token, and `host` is a hash of the target's host; None for one from before these were stored.
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
    scopes: str | None = None
    token: str | None = None
    host: str | None = None


class Result(NamedTuple):
    """The present answer as JSON, and whether it is final."""

    body: str
    ended: bool


def secret_of(key: bytes, callback_id: str) -> str:
    """Return the secret that signs a callback: it is derived, so that a repeated request gets the same."""
    return f"whsec_{b64encode(hmac.digest(key, f'callback:{callback_id}'.encode(), 'sha256')).decode()}"
