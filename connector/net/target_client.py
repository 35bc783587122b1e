"""Send to addresses that users chose: public HTTPS only, pinned to the checked address, no redirects.

An address that leads to another one (IPv4 in IPv6, NAT64, 6to4, Teredo) counts as the one it leads to.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore

from connector.errors import InvalidInput

Address = IPv4Address | IPv6Address

LONGEST_URL: Final = 2_048
_NAT64: Final = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_COMPATIBLE: Final = ip_network("::/96")
# public by their number, and yet the inside of a cloud: Azure's platform services
_INSIDE: Final = frozenset({IPv4Address("168.63.129.16")})
ANSWER_LIMIT: Final = 16_384
READ_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5.0
_TIMEOUT: Final = {
    "connect": CONNECT_SECONDS,
    "read": READ_SECONDS,
    "write": READ_SECONDS,
    "pool": CONNECT_SECONDS,
}


class PrivateTarget(Exception):
    """The name leads to an address that is not public."""


async def resolved(host: str, port: int) -> list[str]:
    """Return the addresses behind a name. Raises `OSError` when there is none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def checked(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses behind a name. Raises `PrivateTarget` when one of them is not public."""
    addresses = await resolved(host, port)
    if not allow_private and not all(is_public(address) for address in addresses):
        raise PrivateTarget(host)
    return addresses


class Targets:
    """The port `Targets`: public HTTPS addresses; when private ones are allowed any, over plain HTTP too."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def require(self, field: str, url: str) -> None:
        """Raise `InvalidInput` on a field whose address cannot be a target."""
        if reason := wrong_with(url, allow_private=self._allow_private):
            raise InvalidInput.of(field, reason)
        parts = urlsplit(url)
        try:
            await checked(parts.hostname or "", parts.port or 443, allow_private=self._allow_private)
        except PrivateTarget:
            raise InvalidInput.of(field, "leads to a private address", code="private_target") from None
        except OSError:
            raise InvalidInput.of(field, "does not resolve to any address") from None


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, even if the name resolves to others a moment later."""

    def __init__(self, *, allow_private: bool) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, and connect to what was checked."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await checked(host, port, allow_private=self._allow_private)
        except OSError as error:  # TimeoutError is one of them
            raise httpcore.ConnectError("the name does not resolve") from error
        for position, address in enumerate(addresses):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if position == len(addresses) - 1:
                    raise
        raise httpcore.ConnectError("the name has no address")


class TargetClient:
    """Posts to a target over at most so many connections; close it at the end."""

    def __init__(self, *, allow_private: bool, connections: int = 1) -> None:
        # one pool each: at every request a pool asks each of its connections whether it still stands
        self._pools = [
            httpcore.AsyncConnectionPool(
                network_backend=_Backend(allow_private=allow_private), max_connections=1, keepalive_expiry=30
            )
            for _ in range(connections)
        ]
        self._free: asyncio.LifoQueue[httpcore.AsyncConnectionPool] = asyncio.LifoQueue()
        for pool in self._pools:
            self._free.put_nowait(pool)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        """Post a body; return status and headers (lower case); redirects are not followed.

        Raises `PrivateTarget`, and httpcore's errors and `TimeoutError` when no answer came within 30 s.
        """
        pool = await self._free.get()
        try:
            async with asyncio.timeout(READ_SECONDS + CONNECT_SECONDS):
                return await _posted(pool, url, body, headers)
        finally:
            self._free.put_nowait(pool)

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools:
            await pool.aclose()


async def _posted(
    pool: httpcore.AsyncConnectionPool, url: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, Mapping[str, str]]:
    async with pool.stream(
        "POST",
        url,
        headers=[(name.lower().encode(), value.encode()) for name, value in headers.items()],
        content=body,
        extensions={"timeout": dict(_TIMEOUT)},
    ) as response:
        read = 0
        async for chunk in response.aiter_stream():
            read += len(chunk)
            if read > ANSWER_LIMIT:
                break  # the body is not used; its end is not waited for
        answered = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
        }
        return response.status, answered


def wrong_with(url: str, *, allow_private: bool) -> str | None:
    """Return why a text cannot be a target, as far as the text shows; None when it can."""
    if len(url) > LONGEST_URL:
        return f"is longer than {LONGEST_URL} characters"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address that can be used"
    rules = (
        (any(ord(one) < 0x21 or ord(one) == 0x7F for one in url), "must not contain spaces"),
        (parts.scheme not in ({"https", "http"} if allow_private else {"https"}), "must begin with https://"),
        (not host, "names no host"),
        (parts.username is not None or parts.password is not None, "must not carry a user name or password"),
    )
    return next((words for broken, words in rules if broken), None)


def is_public(address: str) -> bool:
    """Tell whether an IP address, and every one that it leads to, is on the public internet."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast and one not in _INSIDE for one in _leads_to(found))


def _leads_to(address: Address) -> Iterator[Address]:
    if isinstance(address, IPv4Address):
        yield address
        return
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(_within(address, network) for network in _NAT64) or _within(address, _COMPATIBLE):
        inner.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    if _within(address, _NAT64[1]):
        yield IPv6Address("::1")  # RFC 8215: a translator inside a private network
    found = [one for one in inner if one is not None]
    if address.ipv4_mapped is None and not _within(address, _NAT64[0]):
        yield address  # those two say nothing but the inner one
    yield from found


def _within(address: IPv6Address, network: object) -> bool:
    return isinstance(network, IPv6Network) and address in network
