"""What a stranger may take of the server: the size of a head, and the time that a request arrives in.

h11 bounds a head by an option of uvicorn; httptools bounds nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD: Final = 65_536
MOST_HEADERS: Final = 128
HEAD_SECONDS: Final = 20
BODY_SECONDS: Final = 120  # 20 MiB over a line of 1.5 Mbit/s
_LOOK_SECONDS: Final = 5

_TOO_LARGE: Final = "431 Request Header Fields Too Large"
_TOO_SLOW: Final = "408 Request Timeout"


class TooLarge(Exception):
    """A head that is not to be answered by the application."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits: 431 for a head that is too large, 408 for a request that trickles.

    One timer a connection looks every few seconds; one a request would cost more than all other limits. What
    is called for every piece of a request calls uvicorn's by name, which is cheaper than super().
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin a connection; its first request must arrive, too."""
        super().connection_made(transport)
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
        """Parse; refuse what grows without ever coming to a body or an end (a head, trailers)."""
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
        """Hand the request over when its head is of a bearable size."""
        if len(self.headers) > MOST_HEADERS or (self._largest > LARGEST_HEAD and self._head() > LARGEST_HEAD):
            self._refuse(_TOO_LARGE)
            raise TooLarge
        self._unread = 0
        self._head_ended = True
        self._since = self.loop.time()
        HttpToolsProtocol.on_headers_complete(self)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._unread = 0
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        """Wait no longer: the request is here."""
        self._unread = 0
        self._head_ended = False
        self._since = None
        HttpToolsProtocol.on_message_complete(self)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless another answer was given already."""
        if not self._refused:
            self._refused = True
            super().send_400_response(msg)

    def _head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        if not self._head_ended and self.cycle is not None and not self.cycle.response_complete:
            # an earlier request is answered first
            self._watch = self.loop.call_later(_LOOK_SECONDS, self._look)
            return
        patience = BODY_SECONDS if self._head_ended else HEAD_SECONDS
        if self._since is not None and self.loop.time() - self._since > patience:
            self._refuse(_TOO_SLOW)
            return
        self._watch = self.loop.call_later(_LOOK_SECONDS, self._look)

    def _refuse(self, status: str) -> None:
        """Close, and say why where no answer is under way."""
        self._refused = True
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            head = f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode())
        self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
