"""Attempt one delivery to a URL that a caller chose, and decide whether to retry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import httpcore

from connector.domain.events.event import DeliveryOutcome
from connector.net.retry_after import retry_after_seconds
from connector.net.target_client import PrivateTarget, TargetClient
from connector.security.delivery_signature import signed
from connector.workers.backoff import backoff

GIVE_UP_AFTER: Final = 3 * 86_400_000  # ms
_FIRST_WAIT, _LONGEST_WAIT = 10_000, 4 * 3_600_000  # ms
_GONE: Final = 410


class Message(NamedTuple):
    """A message to deliver: `since` (ms) is the time of the event, `tries` counts earlier attempts."""

    id: str
    body: bytes
    since: int
    tries: int


async def deliver(client: TargetClient, url: str, secret: str, message: Message, now: int) -> DeliveryOutcome:
    """Post a signed body once; a retry carries the same id."""
    headers = signed(secret, message.id, message.body, now)
    try:
        status, answer = await client.post(url, message.body, headers)
    except PrivateTarget:
        return retry_or_fail(message.since, message.tries, "private_target", {}, now)
    except (TimeoutError, httpcore.TimeoutException):
        return retry_or_fail(message.since, message.tries, "timeout", {}, now)
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError):
        return retry_or_fail(message.since, message.tries, "unreachable", {}, now)
    if 200 <= status < 300:
        return DeliveryOutcome("delivered", str(status))
    if status == _GONE:
        return DeliveryOutcome("gone", str(status))
    return retry_or_fail(message.since, message.tries, str(status), answer, now)


def retry_or_fail(
    since: int, tries: int, outcome: str, answer: Mapping[str, str], now: int
) -> DeliveryOutcome:
    """Retry with growing delays, for three days; `Retry-After` may ask for a longer delay."""
    seconds = retry_after_seconds(answer, now / 1_000, _LONGEST_WAIT // 1_000)
    due = now + backoff(tries, seconds, first=_FIRST_WAIT, longest=_LONGEST_WAIT)
    if due - since > GIVE_UP_AFTER and tries:
        return DeliveryOutcome("failed", outcome)
    return DeliveryOutcome("waiting", outcome, due)
