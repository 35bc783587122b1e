"""Look up names that others chose, each in a thread of its own: one whose DNS is silent delays no other.

A lookup cannot be stopped. It may go on after its callers have left, but not after the process has ended.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Future
from threading import Thread
from typing import Final

SECONDS: Final = 5.0
"""The longest wait for a lookup."""


class Crowded(OSError):
    """Too many names are being looked up; the same name may resolve some seconds later."""


class Names:
    """Looks up at most `most` names at a time, of which one asker began at most `each`."""

    def __init__(self, most: int, each: int | None = None) -> None:
        self._most, self._each = most, each or most
        self._running: dict[str, tuple[str, Future[list[str]]]] = {}

    async def addresses(self, host: str, asker: str = "") -> list[str]:
        """Return the addresses of a name; all who ask at the same time wait for the same lookup.

        Raises `OSError` when there is none, `TimeoutError` after five seconds, and `Crowded` at once.
        """
        running = self._running.get(host) or self._begun(host, asker)
        async with asyncio.timeout(SECONDS):
            return await asyncio.wrap_future(running[1])

    def _begun(self, host: str, asker: str) -> tuple[str, Future[list[str]]]:
        askers = [one for one, _ in list(self._running.values())]  # threads take some out meanwhile
        if len(askers) >= self._most or askers.count(asker) >= self._each:
            raise Crowded("too many names are being looked up")
        found: Future[list[str]] = Future()
        found.set_running_or_notify_cancel()  # from now on, who stops waiting cancels it for nobody else
        Thread(target=_look_up, args=(host, found), name="names", daemon=True).start()
        self._running[host] = asker, found
        found.add_done_callback(lambda _: self._running.pop(host))
        return asker, found


def _look_up(host: str, found: Future[list[str]]) -> None:
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        found.set_result(list(dict.fromkeys(str(info[4][0]) for info in infos)))
    except (OSError, ValueError) as error:  # the latter for a name that no resolver can be asked for
        found.set_exception(OSError(f"{error}"))
