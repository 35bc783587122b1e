"""Say in words why a call to Koji or Amplitude brought no answer."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple
from urllib.request import getproxies, proxy_bypass

import httpx


class Unreached(NamedTuple):
    """Why no answer came: `message` names host, cause and setting; `lasts` if waiting alone cannot help."""

    message: str
    lasts: bool


def unreached(error: httpx.RequestError, service: str, url: str, setting: str) -> Unreached:
    """Name the cause of a call without an answer; of `url`, which `setting` names, it shows only the host."""
    host = _host(url)
    if proxy := _proxy_of(error, url):
        (setting, host), service = proxy, f"The proxy for {service}"
    cause, lasts = _cause(error, host)
    advice = (
        f"check {setting} and this machine's network" if lasts else f"try again later, or check {setting}"
    )
    return Unreached(f"{service} could not be reached: {cause}; {advice}.", lasts)


def _host(url: str) -> str:
    return url.rpartition("//")[2].partition("/")[0].rpartition("@")[2]


def _proxy_of(error: httpx.RequestError, url: str) -> tuple[str, str] | None:
    """Return the variable and the host of the proxy that did not connect a call, or None."""
    is_tls = any(isinstance(each, ssl.SSLError) for each in _chain(error))  # is spoken with the far side
    is_early = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError) and not is_tls
    proxies = getproxies() if is_early and not proxy_bypass(_host(url)) else {}
    found = (kind for kind in (url.partition(":")[0], "all") if kind in proxies)
    return next(((f"{kind.upper()}_PROXY", _host(proxies[kind])) for kind in found), None)


def _cause(error: httpx.RequestError, host: str) -> tuple[str, bool]:
    causes = list(_chain(error))
    if any(isinstance(each, socket.gaierror) for each in causes):
        return f"the name {host} does not resolve", True
    tls = next((each for each in causes if isinstance(each, ssl.SSLError)), None)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return f"the certificate of {host} is not valid ({tls.verify_message})", True
    if tls is not None:
        return f"{host} does not speak TLS as https needs it", True
    if any(isinstance(each, ConnectionRefusedError) for each in causes):
        return f"{host} refused the connection", False
    if isinstance(error, httpx.TimeoutException):
        return f"{host} did not answer in time", False
    return f"the connection to {host} failed ({type(error).__name__})", False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes, also those in a group: one name may have several addresses."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _chain(member)
        error = error.__cause__ or error.__context__
