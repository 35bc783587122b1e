"""PURE: the addresses to which an answer may go, and how it is written into them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit

from connector.net.target_client import LONGEST_URL

CURSOR: Final = "cursor://anysphere.cursor-mcp/oauth/callback"
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_PRINTABLE: Final = re.compile(
    r"[!#-\[\]^-~]+"
)  # no space, quote or backslash, which readers take differently
_HOST: Final = re.compile(r"[a-z0-9.-]+|::1")  # other than ASCII: as IDNA


def is_allowed(uri: str) -> bool:
    """Tell whether a client may register a redirect: https, http on this machine, or Cursor's own."""
    parts = _split(uri)
    if uri == CURSOR or parts is None:
        return uri == CURSOR
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return is_secure and "@" not in parts.netloc and "#" not in uri


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Tell whether a redirect is one of a client's; on loopback with any port (RFC 8252, 7.3)."""
    return any(
        uri == one or (_any_port(uri) is not None and _any_port(uri) == _any_port(one)) for one in registered
    )


def answered(uri: str, **answer: str | None) -> str:
    """Return a redirect with the answer in its query; values that are None are left out."""
    given = {name: value for name, value in answer.items() if value is not None}
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(given)}"


def origin(uri: str) -> str:
    """Return a redirect's origin as a content policy names it; one that it cannot name as its scheme."""
    parts = urlsplit(uri)
    if parts.scheme not in ("https", "http") or ":" in (parts.hostname or ""):
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _any_port(uri: str) -> tuple[str | None, str, str] | None:
    parts = _split(uri)
    if parts is None or parts.scheme != "http" or parts.hostname not in LOOPBACK or not is_allowed(uri):
        return None
    return parts.hostname, parts.path, parts.query


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        is_whole = parts.port != 0 and _HOST.fullmatch(parts.hostname or "")
    except ValueError:
        return None
    return parts if is_whole and len(uri) <= LONGEST_URL and _PRINTABLE.fullmatch(uri) else None
