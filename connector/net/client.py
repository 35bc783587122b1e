"""Open the HTTP client for Koji and Amplitude, and make calls with it.

Redirects are not followed: a POST would be repeated at another address, and `Authorization` would be lost.
Proxies come from the environment, as httpx reads it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import httpx

from connector import __version__
from connector.metrics import UPSTREAM

ANSWER_LIMIT: Final = 20 * 1024 * 1024  # bytes
_CONNECT_SECONDS: Final = 5.0
_CALL_SECONDS: Final = 20.0
_DEADLINE_SECONDS: Final = 30.0  # longer than waiting for a connection and making it may take together


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; a decoded `body` above the limit is cut, and then `whole` is false."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool


@cache
def tls_context() -> ssl.SSLContext:
    """Return the process's TLS settings: reading the certificates takes longer than opening a client."""
    return httpx.create_ssl_context()


def open_client() -> httpx.AsyncClient:
    """Open a client for Koji and Amplitude; the caller closes it.

    httpx logs whole URLs, and the query of a user search holds a person's address: its loggers are silenced.
    """
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return httpx.AsyncClient(
        follow_redirects=False,
        verify=tls_context(),
        timeout=httpx.Timeout(_CALL_SECONDS, connect=_CONNECT_SECONDS, pool=_CONNECT_SECONDS),
        headers={"User-Agent": f"koji-amplitude/{__version__}", "Accept": "application/json"},
    )


async def call(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    at: tuple[str, str],
    limit: int = ANSWER_LIMIT,
    auth: httpx.Auth | None = None,
    **request: Any,
) -> Reply:
    """Make one request and read at most `limit` bytes of its answer, within 30 seconds in all.

    `at` names the upstream and the kind of call, for metrics.

    Of httpx's errors it raises only `httpx.RequestError`: `UnsupportedProtocol` for an address that cannot be
    used, `ReadTimeout` for an answer that is not complete at the deadline.
    """
    try:
        async with (
            asyncio.timeout(_DEADLINE_SECONDS),
            stream(client, method, url, at=at, auth=auth, **request) as response,
        ):
            return await _read(response, limit)
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no whole answer within {_DEADLINE_SECONDS:.0f} s") from error


@asynccontextmanager
async def stream(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    at: tuple[str, str],
    auth: httpx.Auth | None = None,
    **request: Any,
) -> AsyncIterator[httpx.Response]:
    """Make one request and yield its answer with the body unread; close it at the end.

    The headers must come within 30 seconds; the body may take any time, with pauses of up to 20 seconds.
    Raises as `call`.
    """
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            with UPSTREAM.labels(*at).time():
                response = await _send(client, method, url, auth, request)
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no answer within {_DEADLINE_SECONDS:.0f} s") from error
    try:
        yield response
    finally:
        await response.aclose()


async def _send(
    client: httpx.AsyncClient, method: str, url: str, auth: httpx.Auth | None, request: Mapping[str, Any]
) -> httpx.Response:
    try:
        prepared = client.build_request(method, url, **request)
    except httpx.InvalidURL as error:
        raise httpx.UnsupportedProtocol("the address cannot be used") from error
    try:
        return await client.send(prepared, auth=auth, stream=True)
    except httpx.InvalidURL as error:
        raise httpx.RemoteProtocolError("a redirect to an address that cannot be used") from error


async def _read(response: httpx.Response, limit: int) -> Reply:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            break
    whole = len(body) <= limit
    return Reply(response.status_code, response.headers, bytes(body if whole else body[:limit]), whole)


def never_sent(error: httpx.RequestError) -> bool:
    """Tell whether a request surely did not reach the other side, because no connection was made."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError)


def path_segment(text: str) -> str | None:
    """Return an id as one path segment, or None for dots, which climb the path, and for invalid Unicode."""
    try:
        return quote(text, safe="") if text.strip(".") else None
    except UnicodeEncodeError:
        return None


def redirect_base(url: str, path: str, headers: Mapping[str, str]) -> str | None:
    """Return the base URL that a redirect of `url`, which ends with `path`, points to.

    None when the redirect leads to another path, such as a login page. The result has no query and no
    credentials.
    """
    try:
        target = urlsplit(urljoin(url, headers.get("location", "")))
        host = target.hostname
        port = f":{target.port}" if target.port else ""
    except ValueError:
        return None
    to_path = target.path.rstrip("/")
    if not host or target.scheme not in ("http", "https") or not to_path.endswith(path):
        return None
    return f"{target.scheme}://{host}{port}{to_path.removesuffix(path)}"
