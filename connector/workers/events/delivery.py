"""One try to deliver to an address that others chose, and what follows from how it went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import httpcore

from connector.net.retry_after import retry_after_seconds
from connector.net.target_client import PrivateTarget, TargetClient
from connector.security.delivery_signature import signed
from connector.workers.backoff import backoff

GIVE_UP_AFTER: Final = 3 * 86_400_000
_FIRST_WAIT, _LONGEST_WAIT = 10_000, 4 * 3_600_000
_GONE: Final = 410


class DeliveryAttempt(NamedTuple):
    """How a try went. `state`: delivered, gone (410), failed (given up) or waiting, until `due` (ms)."""

    state: str
    outcome: str
    due: int | None = None


class Message(NamedTuple):
    """What is delivered: `since` (ms) is when it happened, `tries` how often it was sent before."""

    id: str
    body: bytes
    since: int
    tries: int


async def deliver(client: TargetClient, url: str, secret: str, message: Message, now: int) -> DeliveryAttempt:
    """Post a signed body once; a retry carries the same id."""
    headers = signed(secret, message.id, message.body, now)
    try:
        status, answer = await client.post(url, message.body, headers)
    except PrivateTarget:
        return _again(message, "private_target", {}, now)
    except (TimeoutError, httpcore.TimeoutException):
        return _again(message, "timeout", {}, now)
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError):
        return _again(message, "unreachable", {}, now)
    if 200 <= status < 300:
        return DeliveryAttempt("delivered", str(status))
    if status == _GONE:
        return DeliveryAttempt("gone", str(status))
    return _again(message, str(status), answer, now)


def _again(message: Message, outcome: str, answer: Mapping[str, str], now: int) -> DeliveryAttempt:
    """Try later and later, for days; `Retry-After` may ask for more."""
    asked = min(retry_after_seconds(answer, now / 1_000) or 0, _LONGEST_WAIT // 1_000)
    due = now + backoff(message.tries, asked, first=_FIRST_WAIT, longest=_LONGEST_WAIT)
    if due - message.since > GIVE_UP_AFTER and message.tries:
        return DeliveryAttempt("failed", outcome)
    return DeliveryAttempt("waiting", outcome, due)
