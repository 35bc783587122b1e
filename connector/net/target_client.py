"""Call addresses that users chose: public HTTPS only, pinned to the checked address, no redirects.

An address that wraps another (IPv4 in IPv6, NAT64, 6to4, Teredo) counts as the wrapped address.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx

from connector.errors import InvalidInput, UpstreamUnavailable
from connector.net.names import Crowded, Names

Address = IPv4Address | IPv6Address

LONGEST_URL: Final = 2_048
AT_THE_DOOR: Final = Names(most=32, each=8)
"""Looks up what callers name; the share of each leaves room for others."""

_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = IPv6Network("::/96")
_UNICAST: Final = IPv6Network("2000::/3")
_INSIDE: Final = (
    IPv4Network("168.63.129.16/32"),  # its number is public, but it is inside a cloud: Azure's platform
    IPv4Network("192.0.0.0/24"),  # special uses (RFC 6890); Python 3.11 takes some for public
    IPv4Network("192.88.99.0/24"),  # relays of 6to4, which reach other addresses (RFC 7526)
    IPv6Network("3fff::/20"),  # documentation (RFC 9637), unknown to Python 3.11
)
ANSWER_LIMIT: Final = 16_384  # bytes
READ_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5.0
_TIMEOUT: Final = {
    **dict.fromkeys(("connect", "pool"), CONNECT_SECONDS),
    **dict.fromkeys(("read", "write"), READ_SECONDS),
}


class PrivateTarget(Exception):
    """The name resolves to an address that is not public."""


class PlainTarget(PrivateTarget):
    """The request has no TLS, and the name resolves to an address that is not private."""


async def checked(
    host: str, names: Names, asker: str = "", *, allow_private: bool, plain: bool = False
) -> list[str]:
    """Return the addresses of a name; `plain` tells that the request has no TLS.

    Raises as `Names.addresses`, `PrivateTarget` when an address is not public, and `PlainTarget`.
    """
    addresses = await names.addresses(host, asker)
    public = [is_public(address) for address in addresses]
    if not allow_private and not all(public):
        raise PrivateTarget(host)
    if plain and any(public):
        raise PlainTarget(host)
    return addresses


@cache
def _tls_context() -> ssl.SSLContext:
    """Return the TLS settings of all calls: httpcore would read the certificates for each connection anew."""
    return httpcore.default_ssl_context()


class Targets:
    """The addresses to which callers may let us post.

    These are public HTTPS addresses; where private ones are allowed, those with HTTP, too.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def require(self, field: str, url: str, asker: str) -> None:
        """Raise `InvalidInput` for a field whose address cannot be a target.

        Raises `UpstreamUnavailable` when this asker, or all of them, have too many names looked up.
        """
        if reason := wrong_with(url, allow_private=self._allow_private):
            raise InvalidInput.of(field, reason)
        parts = urlsplit(encoded(url))
        try:
            await checked(
                parts.hostname or "",
                AT_THE_DOOR,
                asker,
                allow_private=self._allow_private,
                plain=parts.scheme == "http",
            )
        except PlainTarget:
            raise InvalidInput.of(field, "must begin with https://, as its address is public") from None
        except PrivateTarget:
            raise InvalidInput.of(field, "leads to a private address", code="private_target") from None
        except Crowded:
            message = f"Too many names are being looked up, so that of {field} was not; call again."
            raise UpstreamUnavailable(message, retry_after=5) from None
        except OSError:
            raise InvalidInput.of(field, "does not resolve to any address") from None


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, even if the name then resolves to other addresses."""

    def __init__(self, look: Callable[..., Awaitable[list[str]]]) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._look = look
        self.plain = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve the name, check its addresses, and connect to the first that answers."""
        try:
            addresses = await self._look(host, plain=self.plain)
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
    """Calls targets over at most `connections` connections; close it at the end."""

    def __init__(self, names: Names, asker: str = "", *, allow_private: bool, connections: int = 1) -> None:
        look = partial(checked, names=names, asker=asker, allow_private=allow_private)
        # one pool for each connection, because a pool checks all its connections at every request
        made = partial(httpcore.AsyncConnectionPool, _tls_context(), max_connections=1, keepalive_expiry=30)
        backends = [_Backend(look) for _ in range(connections)]
        self._pools = [(made(network_backend=each), each) for each in backends]
        self._free: asyncio.LifoQueue[tuple[httpcore.AsyncConnectionPool, _Backend]] = asyncio.LifoQueue()
        for pool in self._pools:
            self._free.put_nowait(pool)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        """Post a body; return the answer's status and headers (in lower case), also of a redirect.

        Raises `PrivateTarget`, httpcore's errors, `ValueError` for an address that cannot be encoded, and
        `TimeoutError` without an answer within 30 seconds.
        """
        status, answered, _ = await self._call("POST", url, body, headers, READ_SECONDS + CONNECT_SECONDS)
        return status, answered

    async def get(self, url: str, seconds: float) -> bytes:
        """Return the body of a 200 answer that comes whole within `seconds`, of at most `ANSWER_LIMIT` bytes.

        Raises as `post`, and `ValueError` for any other answer.
        """
        status, _, body = await self._call("GET", url, b"", {"Accept": "application/json"}, seconds)
        if status != 200 or len(body) > ANSWER_LIMIT:
            raise ValueError(f"answered {status} with {len(body)} bytes")
        return body

    async def _call(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        free = pool, backend = await self._free.get()
        backend.plain = urlsplit(url).scheme == "http"
        try:
            async with asyncio.timeout(seconds):
                return await _exchange(pool, method, encoded(url), body, headers)
        finally:
            self._free.put_nowait(free)

    async def close(self) -> None:
        """Close every connection."""
        for pool, _ in self._pools:
            await pool.aclose()


async def _exchange(
    pool: httpcore.AsyncConnectionPool, method: str, url: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, Mapping[str, str], bytes]:
    """Return the status, the headers and the body, which is cut once it is above the limit."""
    async with pool.stream(
        method,
        url,
        headers=[(name.lower().encode(), value.encode()) for name, value in headers.items()],
        content=body,
        extensions={"timeout": dict(_TIMEOUT)},
    ) as response:
        content = b""
        async for chunk in response.aiter_stream():
            content += chunk
            if len(content) > ANSWER_LIMIT:
                break
        pairs = (
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers
        )
        return response.status, dict(pairs), content


def encoded(url: str) -> str:
    """Return a URL as it is called: its host in IDNA, its path and query percent-encoded, no fragment.

    Raises `ValueError` for a host that DNS cannot name (RFC 1035: labels of 1 to 63, in all 253 characters).
    """
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from error
    host = parts.raw_host.decode().removesuffix(".")
    if host and (len(host) > 253 or not all(0 < len(label) < 64 for label in host.split("."))):
        raise ValueError("no DNS name")
    return f"{parts.scheme}://{parts.netloc.decode()}{parts.raw_path.decode()}"


def wrong_with(url: str, *, allow_private: bool) -> str | None:
    """Return why a text cannot be a target, or None if the text shows no reason."""
    if len(url) > LONGEST_URL:
        return f"is longer than {LONGEST_URL} characters"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        encoded(url)
    except ValueError:
        return "is no address that can be used"
    rules = (
        (
            any(ord(character) < 0x21 or ord(character) == 0x7F for character in url),
            "must not contain spaces",
        ),
        (parts.scheme not in ({"https", "http"} if allow_private else {"https"}), "must begin with https://"),
        (not host, "names no host"),
        (parts.username is not None or parts.password is not None, "must not carry a user name or password"),
    )
    return next((message for is_broken, message in rules if is_broken), None)


def is_public(address: str) -> bool:
    """Tell whether an IP address, and every address that it wraps, is on the public internet."""
    try:
        whole = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(
        ip.is_global
        and not ip.is_multicast
        and (ip.version == 4 or ip in _UNICAST)  # in particular SIIT (RFC 2765) is outside
        and not any(ip in network for network in _INSIDE)
        for ip in _reached(whole)
    )


def _reached(address: Address) -> Iterator[Address]:
    """Yield the addresses that a connection to an address may reach."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if any(address in network for network in (*_NAT64, _COMPATIBLE)):
        yield IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _NAT64[1]:
        yield IPv6Address("::1")  # RFC 8215: a translator inside a private network
    if address.ipv4_mapped is None and address not in _NAT64[0]:
        yield address  # in those two, only the wrapped address counts
    yield from filter(None, (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())))
