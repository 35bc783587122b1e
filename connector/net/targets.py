"""Where we may send what others asked us to send: public HTTPS addresses, checked again at each connection.

An address that leads to another one (IPv4 in IPv6, NAT64, 6to4, Teredo) counts as the one it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address

LONGEST_URL: Final = 2_048
_NAT64: Final = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_COMPATIBLE: Final = ip_network("::/96")
# public by their number, and yet the inside of a cloud: Azure's platform services
_INSIDE: Final = frozenset({IPv4Address("168.63.129.16")})


def wrong_with(url: str, *, allow_private: bool) -> str | None:
    """Return why a text cannot be a target, as far as the text tells; None when it can."""
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
        yield IPv6Address("::1")  # RFC 8215: a translator of somebody's own network
    found = [one for one in inner if one is not None]
    if address.ipv4_mapped is None and not _within(address, _NAT64[0]):
        yield address  # those two say nothing but the inner one
    yield from found


def _within(address: IPv6Address, network: object) -> bool:
    return isinstance(network, IPv6Network) and address in network
