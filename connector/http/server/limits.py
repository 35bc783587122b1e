"""uvicorn's HTTP protocol with limits for requests, and with one write for each answer.

httptools limits neither the size of a head nor the time in which a request arrives. uvicorn writes head and
body of an answer apart, and each write costs a system call and a packet.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD: Final = 65_536
MOST_HEADERS: Final = 128
HEAD_SECONDS: Final = 20
BODY_SECONDS: Final = 120  # 20 MiB over a line of 1.5 Mbit/s
_LOOK_SECONDS: Final = 5

_TOO_LARGE: Final = "431 Request Header Fields Too Large"
_TOO_SLOW: Final = "408 Request Timeout"


class TooLarge(Exception):
    """The head is too large: the application does not get the request."""


class BoundedProtocol(HttpToolsProtocol):
    """Answers 431 to a head that is too large, and 408 to a request that arrives too slowly.

    Each connection has one timer that looks every few seconds: a timer for each request would cost more than
    all other limits. Methods that run for every chunk call uvicorn's by name, which is cheaper than super().
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin a connection; the time of its first request runs from here."""
        super().connection_made(cast("asyncio.Transport", JoiningTransport(transport, self.loop)))
        self._head_ended = False
        self._unread = 0
        self._largest = 0
        self._since: float | None = self.loop.time()
        self._refused = False
        self._watch = self.loop.call_later(_LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the watch with the connection."""
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a chunk; refuse a head, or trailers, that grow without end."""
        if self._refused:
            return
        if self._since is None:
            self._since = self.loop.time()
        self._unread += len(data)
        self._largest = len(data)
        HttpToolsProtocol.data_received(self, data)
        if not self._refused and (
            self._unread > LARGEST_HEAD or (self.headers is not None and len(self.headers) > MOST_HEADERS)
        ):
            self._refuse(_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Hand the request to the application unless its head is too large."""
        if len(self.headers) > MOST_HEADERS or (self._largest > LARGEST_HEAD and self._head() > LARGEST_HEAD):
            self._refuse(_TOO_LARGE)
            raise TooLarge
        self._unread = 0
        self._head_ended = True
        self._since = self.loop.time()
        HttpToolsProtocol.on_headers_complete(self)

    def on_body(self, body: bytes) -> None:
        """Take a chunk of the body."""
        self._unread = 0
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        """Stop the clock: the request is complete."""
        self._unread = 0
        self._head_ended = False
        self._since = None
        HttpToolsProtocol.on_message_complete(self)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is not HTTP, unless it was refused already."""
        if not self._refused:
            self._refused = True
            super().send_400_response(msg)

    def _head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        # a head that comes while an earlier request is answered may take as long as that answer
        in_line = not self._head_ended and self.cycle is not None and not self.cycle.response_complete
        patience = BODY_SECONDS if self._head_ended else HEAD_SECONDS
        if not in_line and self._since is not None and self.loop.time() - self._since > patience:
            self._refuse(_TOO_SLOW)
        else:
            self._watch = self.loop.call_later(_LOOK_SECONDS, self._look)

    def _refuse(self, status: str) -> None:
        """Close the connection; send the status first unless an answer has begun."""
        self._refused = True
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            head = f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode())
        self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


class JoiningTransport:
    """A transport that joins all that is written before the event loop's next turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        """Leave all other methods to the transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keep data for the next turn of the event loop."""
        if not self._kept:
            self._loop.call_soon(self._flush)
        self._kept.append(data)

    def close(self) -> None:
        """Write the kept data, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._kept:
            data = b"".join(self._kept)
            self._kept.clear()
            self._transport.write(data)
