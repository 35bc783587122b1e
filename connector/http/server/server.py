"""Run uvicorn with our sockets, our limits and our way to stop."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from types import FrameType
from typing import Literal, cast

import uvicorn
from starlette.types import ASGIApp

from connector.errors import SettingsError

KEEP_ALIVE_SECONDS = 75  # longer than common proxies keep theirs, so that they close first
GRACEFUL_SECONDS = 10
LARGEST_HEAD = 65_536
MOST_CONNECTIONS = 4_096
FORCED = 130
_OTHER_DESCRIPTORS = 256  # of the database, of calls that we make, of the program itself
_BACKLOG = 2_048


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Yield listening sockets on every address of `host`. Raises `SettingsError` that names HOST or PORT."""
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise SettingsError(
            f"HOST: {host} is no name or address of this machine; for example HOST=127.0.0.1"
        ) from None
    with ExitStack() as stack:
        try:
            addresses = dict.fromkeys((info[0], info[4]) for info in infos)
            sockets = [
                stack.enter_context(socket.create_server(address, family=family, backlog=_BACKLOG))
                for family, address in addresses
            ]
        except OSError as error:
            raise _refused(host, port, error) from None
        yield sockets


def config(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    """Return uvicorn's settings: uvloop and httptools if installed, no access log, no server header.

    `connector.log` configures logging. With httptools, `limits` bounds the size of heads and the time of a
    request. With h11, uvicorn bounds heads only: put a proxy in front of a server that strangers can reach.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_protocol(),
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,  # of the proxies in FORWARDED_ALLOW_IPS, by default those on this machine
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        h11_max_incomplete_event_size=LARGEST_HEAD,
    )


def _protocol() -> type[asyncio.Protocol] | Literal["auto"]:
    if find_spec("httptools") is None:  # it is not built for every Python
        return "auto"
    from connector.http.server.limits import BoundedProtocol, Room  # noqa: PLC0415 - needs httptools

    most = max(min(MOST_CONNECTIONS, descriptors() - _OTHER_DESCRIPTORS), 8)
    return cast("type[asyncio.Protocol]", partial(BoundedProtocol, room=Room(most)))


def descriptors() -> int:
    """Raise the limit on open files as far as this user may and we need; return it."""
    if find_spec("resource") is None:  # Windows has no such limit
        return MOST_CONNECTIONS + _OTHER_DESCRIPTORS
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _OTHER_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft not in (resource.RLIM_INFINITY, wanted) and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


class Server(uvicorn.Server):
    """A server that a signal stops in good order, with exit code 0.

    `started_hook` runs when the server answers. `stop_hook` runs in the event loop as soon as the server must
    stop: uvicorn tells the application only after the last request, and requests that wait for an interview
    would never learn of it. A second Ctrl-C ends the process at once; `say` prints one line about that.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        say: Callable[[str], None],
        started_hook: Callable[[], None],
        stop_hook: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._say = say
        self._started_hook = started_hook
        self._stop_hook = stop_hook
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self._started_hook()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests in flight, then close; both together take at most `GRACEFUL_SECONDS`.

        Until then the server still answers, so that a probe of /readyz gets 503, not a refused connection.
        """
        began = time.monotonic()
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=GRACEFUL_SECONDS)
        left = GRACEFUL_SECONDS - (time.monotonic() - began)
        self.config.timeout_graceful_shutdown = max(1, math.ceil(left))
        await super().shutdown(sockets)

    def stop(self) -> None:
        """Refuse new work, and end after the requests in flight; a signal handler may call this."""
        if not self.should_exit:
            self.should_exit = True
            if self.started and self._loop is not None:
                self._loop.call_soon_threadsafe(self._stop_hook)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop; at a second Ctrl-C at once, which is safe: every answer is on disk, leases expire."""
        if self.should_exit and sig == signal.SIGINT:
            self._say("Stopped at once.")
            os._exit(FORCED)
        self.stop()


def _refused(host: str, port: int, error: OSError) -> SettingsError:
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            f"PORT: {port} on {host} is in use; stop what uses it, or for example PORT={port + 1}"
        )
    if error.errno == errno.EACCES:
        return SettingsError(f"PORT: {port} needs more rights than this user has; for example PORT=8080")
    why = os.strerror(error.errno or 0)  # the error's own text also holds the address
    return SettingsError(f"HOST: {host} cannot be listened on: {why}; for example HOST=127.0.0.1")
