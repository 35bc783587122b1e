"""One try to deliver to an address that others chose, and what follows from how it went."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final, NamedTuple

import httpcore

from connector.net.retry_after import retry_after_seconds
from connector.net.target_client import PrivateTarget, TargetClient
from connector.security.delivery_signature import signed

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


async def deliver(client: TargetClient, url: str, secret: str, letter: Message, now: int) -> DeliveryAttempt:
    """Post a signed body once; a retry carries the same id."""
    headers = signed(secret, letter.id, letter.body, now)
    try:
        status, answer = await client.post(url, letter.body, headers)
    except PrivateTarget:
        return _again(letter, "private_target", {}, now)
    except (TimeoutError, httpcore.TimeoutException):
        return _again(letter, "timeout", {}, now)
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError):
        return _again(letter, "unreachable", {}, now)
    if 200 <= status < 300:
        return DeliveryAttempt("delivered", str(status))
    if status == _GONE:
        return DeliveryAttempt("gone", str(status))
    return _again(letter, str(status), answer, now)


def _again(letter: Message, outcome: str, answer: Mapping[str, str], now: int) -> DeliveryAttempt:
    """Try later and later, for days; `Retry-After` may ask for more."""
    wait = min(_FIRST_WAIT * 2 ** min(letter.tries, 20), _LONGEST_WAIT)
    asked = (retry_after_seconds(answer, now / 1_000) or 0) * 1_000
    due = now + max(int(random.uniform(wait / 2, wait)), min(asked, _LONGEST_WAIT))  # noqa: S311 - spreads load
    if due - letter.since > GIVE_UP_AFTER and letter.tries:
        return DeliveryAttempt("failed", outcome)
    return DeliveryAttempt("waiting", outcome, due)
