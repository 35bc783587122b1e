"""Server-sent events: they only say that a fragment of the page is to be fetched again."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from connector.console.page import HEADERS
from connector.console.visit import Visit
from connector.errors import ConnectorError

EVENT_STREAM: Final = "text/event-stream"
CHANGED: Final = "event: changed\ndata:\n\n"
FULL: Final = f"retry: 15000\n{CHANGED}"
"""The whole stream of a page for which there is no room: the browser comes back in 15 seconds."""
ENDED: Final = "event: ended\ndata:\n\n"
OF_SESSION, OF_TOKEN, OF_ALL = 4, 16, 64
"""The streams at a time of a session, a token and this process.

A browser has six connections to a host (HTTP/1.1): a session's streams leave it two for its pages.
"""
_EVERY_SECONDS: Final = 1.0
_AT_FULL_PACE: Final = 8
"""With more streams, each looks less often: all of them together look so many times a second."""
_LOOKS: Final = 600  # then the browser asks again
_QUIET_LOOKS: Final = 15
"""After so many looks without an event a comment is sent, so that no proxy takes the connection for dead."""


def changes(visit: Visit, look: Callable[[], Awaitable[tuple[Any, bool]]]) -> Response:
    """Return a stream that tells when the first value of `look` changes, and ends with the second.

    It tells so at once, for something may have happened since the page was made. It ends with the session.
    Without room it ends after that: the page then is made anew each time that the browser comes back.
    """
    streams = visit.sessions.streams

    async def events() -> AsyncIterator[str]:
        with _room(visit) as has_room:
            if not has_room:
                yield FULL
                return
            async for event in told():
                yield event

    async def told() -> AsyncIterator[str]:
        before: Any = object()
        quiet = 0
        for _ in range(_LOOKS):
            try:
                now, has_ended = await look()
            except ConnectorError:
                return
            quiet = 0 if now != before else quiet + 1
            if now != before:
                before = now
                yield CHANGED
            elif quiet % _QUIET_LOOKS == 0:
                yield ": still here\n\n"
            if has_ended:
                yield ENDED
                return
            await visit.ctx.clock.sleep(_EVERY_SECONDS * max(1, streams[""] / _AT_FULL_PACE))
            if visit.ctx.stopping.is_set() or await visit.sessions.of(visit.request) is None:
                return

    headers = {**HEADERS, "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), headers=headers, media_type=EVENT_STREAM)


@contextmanager
def _room(visit: Visit) -> Iterator[bool]:
    """Count a stream while it lasts; yield whether there is room for it."""
    streams, session = visit.sessions.streams, visit.session
    most = {session.form_token: OF_SESSION, session.token_sha256: OF_TOKEN, "": OF_ALL}
    has_room = all(streams[key] < n for key, n in most.items())
    mine = Counter(most.keys() if has_room else ())
    streams.update(mine)
    try:
        yield has_room
    finally:
        streams -= mine  # in place; what is 0 leaves
