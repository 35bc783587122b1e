"""Answers in one piece: uvicorn writes head and body apart, and each costs a system call and a packet."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from connector.http.server.limits import BoundedProtocol


class OneWriteProtocol(BoundedProtocol):
    """The bounded protocol over a transport that joins what one step of a request writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin a connection."""
        super().connection_made(cast("asyncio.Transport", JoiningTransport(transport, self.loop)))


class JoiningTransport:
    """A transport that keeps what is written until the callbacks that are due now have run."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write soon."""
        if not self._kept:
            self._loop.call_soon(self._flush)
        self._kept.append(data)

    def close(self) -> None:
        """Write what is kept, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._kept:
            data = b"".join(self._kept)
            self._kept.clear()
            self._transport.write(data)
