"""Delay answers to IP addresses that guess tokens; a valid token is never delayed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import MutableMapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from connector.clock import Clock
from connector.errors import TooManyFailures

UNDELAYED_FAILURES = 10  # failures a minute per address without delay
MAX_DELAYED = 100  # answers delayed at the same time
MAX_ADDRESSES = 10_000  # addresses remembered; the address with the oldest last failure is dropped first
LONGEST_DELAY_SECONDS = 2.0
RETRY_SECONDS = 5
TRUSTED = "trusted"
"""Key in the state of a request (ASGI): the name of its sender, once it is known."""
ON_TRUST = "on_trust"
"""Key in the state of a request (ASGI): what the server wants called when the sender becomes known."""
_WINDOW = 60_000
_FIRST_DELAY_SECONDS = 0.1


def trust(scope: MutableMapping[str, Any], sender: str) -> None:
    """Note that the sender of a request is known, so that the server's limits for strangers end."""
    state = scope.setdefault("state", {})
    state[TRUSTED] = sender
    state.get(ON_TRUST, bool)()


class Failures:
    """Counts the failures of each IP address over a minute."""

    def __init__(self) -> None:
        self._counted: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._waiting = 0

    async def add(self, address: str, clock: Clock) -> None:
        """Count a failure and delay its answer. Raises `TooManyFailures` if too many answers wait."""
        excess = self._count(subscriber_address(address), clock.now()) - UNDELAYED_FAILURES
        if excess <= 0:
            return
        if self._waiting >= MAX_DELAYED:
            raise TooManyFailures(
                "Too many requests without a valid token; send a valid one, or try again later.",
                retry_after=RETRY_SECONDS,
            )
        self._waiting += 1
        try:
            await clock.sleep(min(_FIRST_DELAY_SECONDS * 2 ** min(excess - 1, 10), LONGEST_DELAY_SECONDS))
        finally:
            self._waiting -= 1

    def _count(self, address: str, now: int) -> int:
        since, count = self._counted.pop(address, (now, 0))
        if not 0 <= now - since < _WINDOW:
            since, count = now, 0
        self._counted[address] = (since, count + 1)
        if len(self._counted) > MAX_ADDRESSES:
            self._counted.popitem(last=False)
        return count + 1


def subscriber_address(address: str) -> str:
    """Return an IPv4 address, or an IPv6 address's /64 network, because one subscriber owns it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), 64), strict=False))
