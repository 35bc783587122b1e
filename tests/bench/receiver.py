"""A subscriber that takes every delivery at once: as little as answers HTTP."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

_LENGTH = re.compile(rb"(?i)content-length: (\d+)")
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Receiver(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._came = b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._came, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._came) < whole:
                return
            self._came = self._came[whole:]
            self._transport.write(_OK)


async def main() -> None:
    """Serve on the port that is given."""
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
