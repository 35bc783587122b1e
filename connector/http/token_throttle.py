"""Slow down addresses that guess tokens; callers with a valid token are never slowed."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network

from connector.clock import Clock
from connector.errors import TooManyFailures

FREE = 10  # failures a minute that are answered at once
WAITING = 100  # answers that are delayed at a time
ADDRESSES = 10_000  # the addresses that are remembered; the address that was silent longest is dropped first
LONGEST_SECONDS = 2.0
RETRY_SECONDS = 5
_WINDOW = 60_000
_FIRST_SECONDS = 0.1


class Failures:
    """Counts the failures of each address over a minute."""

    def __init__(self) -> None:
        self._counted: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._waiting = 0

    async def add(self, address: str, clock: Clock) -> None:
        """Count a failure and delay its answer. Raises `TooManyFailures` when too many answers wait."""
        beyond = self._count(_neighbourhood(address), clock.now()) - FREE
        if beyond <= 0:
            return
        if self._waiting >= WAITING:
            raise TooManyFailures(
                "Too many requests without a valid token; send a valid one, or try again later.",
                retry_after=RETRY_SECONDS,
            )
        self._waiting += 1
        try:
            await clock.sleep(min(_FIRST_SECONDS * 2 ** min(beyond - 1, 10), LONGEST_SECONDS))
        finally:
            self._waiting -= 1

    def _count(self, address: str, now: int) -> int:
        since, count = self._counted.pop(address, (now, 0))
        if not 0 <= now - since < _WINDOW:
            since, count = now, 0
        self._counted[address] = (since, count + 1)
        if len(self._counted) > ADDRESSES:
            self._counted.popitem(last=False)
        return count + 1


def _neighbourhood(address: str) -> str:
    """Return an IPv4 address, or the network of an IPv6 address, which one subscriber has whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), 64), strict=False))
