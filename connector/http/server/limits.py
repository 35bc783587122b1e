"""uvicorn's HTTP protocol with limits for requests and connections, and with one write for each answer.

httptools limits neither the size of a head nor the time in which a request arrives. uvicorn writes head and
body of an answer apart, and each write costs a system call and a packet.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from ipaddress import ip_address
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from connector.http.token_throttle import ON_TRUST, TRUSTED, subscriber_address

LARGEST_HEAD: Final = 65_536
MOST_HEADERS: Final = 128
HEAD_SECONDS: Final = 20
BODY_SECONDS: Final = 5  # then a body must have come with at least `SLOWEST` bytes for each further second
SLOWEST: Final = 16_384
MOST_AHEAD_SECONDS: Final = 60  # what a fast beginning of a body buys a sender that stops
UNREAD_SECONDS: Final = 20  # in which a receiver must take some of an answer that waits for it
UNTRUSTED_BYTES: Final = 48 * 1024 * 1024  # up to twice as much of memory, with what the allocator rounds up
TRUSTED_BYTES: Final = 256 * 1024 * 1024
_LOOK_SECONDS: Final = 5
_LAST_LOOK_SECONDS: Final = 1

_TOO_LARGE: Final = "431 Request Header Fields Too Large"
_TOO_SLOW: Final = "408 Request Timeout"
_NO_ROOM: Final = "503 Service Unavailable\r\nretry-after: 5"


class TooLarge(Exception):
    """The head is too large: the application does not get the request."""


class Room:
    """What all connections share: `most` connections, and bytes of requests that are not answered.

    Requests of unknown senders hold `UNTRUSTED_BYTES`, those of known ones `TRUSTED_BYTES`, of which
    each sender has a quarter: requests that wait for their answer never shut out others. When there is no
    room, the connection that has waited longest for bytes of its sender is refused, so that slow senders
    never shut out others. An address has a quarter of the connections.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = [0, 0]  # bytes of unknown senders, and of known ones
        self.senders: Counter[str] = Counter()  # bytes of each known sender
        self.waiting: dict[BoundedProtocol, None] = {}  # in the order in which they began to wait
        self.addresses: Counter[str] = Counter()

    def wait(self, connection: BoundedProtocol) -> None:
        """Put a connection last among those that wait for bytes."""
        self.waiting.pop(connection, None)
        self.waiting[connection] = None

    def count(self, sender: str | None, size: int) -> None:
        """Count bytes of a sender, or fewer; None is unknown."""
        self.held[sender is not None] += size
        if sender is not None:
            self.senders[sender] += size
            if not self.senders[sender]:
                del self.senders[sender]

    def refuse_longest(self, otherwise: BoundedProtocol) -> None:
        """Refuse the unknown sender that has waited longest, or `otherwise` when none waits."""
        next((one for one in self.waiting if one.sender() is None), otherwise).refuse(_NO_ROOM)

    def make_room(self, otherwise: BoundedProtocol) -> None:
        """Refuse until the sender of `otherwise`, and all that are known or not as it, hold what they may."""
        sender = otherwise.sender()
        known = sender is not None
        most = TRUSTED_BYTES if known else UNTRUSTED_BYTES
        while not otherwise.is_refused:
            alone = sender is not None and self.senders[sender] > most // 4
            if not alone and self.held[known] <= most:
                return
            holding = (
                one
                for one in self.waiting
                if one.held and (one.sender() == sender if alone else (one.sender() is not None) == known)
            )
            next(holding, otherwise).refuse(_NO_ROOM)

    def belongs(self, connection: BoundedProtocol, address: str | None) -> None:
        """Count a connection for the address of its sender; refuse it when there are too many."""
        if (before := connection.address) is not None:
            self.addresses[before] -= 1
            if not self.addresses[before]:
                del self.addresses[before]
        connection.address = address
        if address is not None:
            self.addresses[address] += 1
            if self.addresses[address] > self.most // 4:
                connection.refuse(_NO_ROOM)


class BoundedProtocol(HttpToolsProtocol):
    """Answers 431 to a request with a large head, 408 to one that arrives too slowly, and 503 without room.

    A connection whose other side does not read is cut off.
    Each connection has one timer that looks every few seconds: a timer for each request would cost more than
    all other limits. Methods that run for every chunk call uvicorn's by name, which is cheaper than super().
    """

    def __init__(self, *args: Any, room: Room, **more: Any) -> None:
        super().__init__(*args, **more)
        self._room = room
        self.address: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin a connection; the time of its first request runs from here."""
        super().connection_made(cast("asyncio.Transport", JoiningTransport(transport, self.loop)))
        self.held = 0
        self._counted_for: str | None = None
        self._head_ended = False
        self._unread = 0
        self._largest = 0
        self._due: float | None = self.loop.time() + HEAD_SECONDS
        self._unsent = 0
        self._read_at = self.loop.time()
        self.is_refused = False
        self._late = False
        self._watch = self.loop.call_later(_LOOK_SECONDS, self._look)
        self._room.wait(self)
        self._room.belongs(self, self._address())
        if len(self.connections) > self._room.most and not self.is_refused:
            self._room.refuse_longest(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the watch with the connection."""
        self._watch.cancel()
        self._leave()
        self._room.belongs(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a chunk; refuse a head, or trailers, that grow without end."""
        if self.is_refused:
            return
        if self._due is None:
            self._due = self.loop.time() + HEAD_SECONDS
            self._room.wait(self)
        if not self._has_room(len(data)):
            return
        self._unread += len(data)
        self._largest = len(data)
        HttpToolsProtocol.data_received(self, data)
        if not self.is_refused and (
            self._unread > LARGEST_HEAD or (self.headers is not None and len(self.headers) > MOST_HEADERS)
        ):
            self.refuse(_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Hand the request to the application unless its head is too large."""
        if len(self.headers) > MOST_HEADERS or (self._largest > LARGEST_HEAD and self._head() > LARGEST_HEAD):
            self.refuse(_TOO_LARGE)
            raise TooLarge
        self._unread = 0
        self._head_ended = True
        self._due = self.loop.time() + BODY_SECONDS
        HttpToolsProtocol.on_headers_complete(self)
        self.scope["state"][ON_TRUST] = self._has_room

    def on_body(self, body: bytes) -> None:
        """Take a chunk of the body."""
        self._unread = 0
        if self._due is not None:
            self._due = min(self._due + len(body) / SLOWEST, self.loop.time() + MOST_AHEAD_SECONDS)
        self._follow_proxy()
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        """Stop the clock: the request is complete."""
        self._unread = 0
        self._head_ended = False
        self._due = None
        self._room.waiting.pop(self, None)
        HttpToolsProtocol.on_message_complete(self)

    def on_response_complete(self) -> None:
        """Give back the room of the request; the connection now waits for the next one."""
        self._leave()
        if self.scope["client"] is not self.client:  # a proxy's next request may be of another sender
            self._room.belongs(self, None)
        if not self.transport.is_closing():
            self._room.wait(self)
        HttpToolsProtocol.on_response_complete(self)

    def sender(self) -> str | None:
        """Return the sender of the request once it is known."""
        return None if self.scope is None else self.scope["state"].get(TRUSTED)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is not HTTP, unless it was refused already."""
        if not self.is_refused:
            self.is_refused = True
            super().send_400_response(msg)

    def _head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _look(self) -> None:
        now = self.loop.time()
        # a head that comes while an earlier request is answered may take as long as that answer
        in_line = not self._head_ended and self.cycle is not None and not self.cycle.response_complete
        if self._due is not None and self.flow.read_paused:
            self._due = max(self._due, now + BODY_SECONDS)  # we read slowly, not the sender
        self._follow_proxy()
        late = (not in_line and self._due is not None and now > self._due) or self._is_unread(now)
        if late and self._late:
            self.refuse(_TOO_SLOW)  # and look on: what is not read by then is cut off
        # a loop that was held up looks at its timers before it reads what came meanwhile
        self._late = late
        self._watch = self.loop.call_later(_LAST_LOOK_SECONDS if late else _LOOK_SECONDS, self._look)

    def _is_unread(self, now: float) -> bool:
        """Tell whether the other side has long taken nothing of what waits for it."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if not self._unsent or self._unsent < before:
            self._read_at = now
        return now - self._read_at > UNREAD_SECONDS

    def _address(self) -> str | None:
        """Return the address that a connection counts for; a proxy's counts for none.

        Behind a proxy it is the address that uvicorn took from the proxy's header, once it did.
        """
        client = self.client if self.scope is None else self.scope["client"]
        trusted = getattr(self.app, "trusted_hosts", None)  # of uvicorn's ProxyHeadersMiddleware
        host = client[0] if client else ""
        with suppress(ValueError):
            if ip_address(host).is_loopback or (trusted and not trusted.always_trust and host in trusted):
                return None
        return subscriber_address(host) if host else None

    def _follow_proxy(self) -> None:
        if self.scope is not None and self.scope["client"] is not self.client and self.address is None:
            self._room.belongs(self, self._address())

    def _has_room(self, size: int = 0) -> bool:
        """Count bytes until the request is answered; tell whether there is room."""
        self._room.count(self._counted_for, -self.held)
        self._counted_for = self.sender()
        self.held += size
        self._room.count(self._counted_for, self.held)
        self._room.make_room(self)
        return not self.is_refused

    def _leave(self) -> None:
        self._room.count(self._counted_for, -self.held)
        self.held = 0
        self._room.waiting.pop(self, None)

    def refuse(self, status: str) -> None:
        """Close the connection; send the status first unless an answer has begun, or is not read."""
        self.is_refused = True
        self._leave()
        if self.transport.get_write_buffer_size():  # a close would wait for the reader
            self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
            self.transport.abort()
        elif self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
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
            if not self._transport.is_closing():  # uvloop raises for a caller that left meanwhile
                self._transport.write(data)
