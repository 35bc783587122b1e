"""Server-sent events: they only say that a fragment of the page is to be fetched again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from connector.console.page import HEADERS
from connector.console.visit import Visit
from connector.errors import ConnectorError

EVENT_STREAM: Final = "text/event-stream"
CHANGED: Final = "event: changed\ndata:\n\n"
ENDED: Final = "event: ended\ndata:\n\n"
_EVERY_SECONDS: Final = 1.0
_LOOKS: Final = 600  # then the browser asks again
_QUIET_LOOKS: Final = 15
"""After so many looks without an event a comment is sent, so that no proxy takes the connection for dead."""


def changes(visit: Visit, look: Callable[[], Awaitable[tuple[Any, bool]]]) -> Response:
    """Return a stream that tells when the first value of `look` changes, and ends with the second.

    It tells so at once, for something may have happened since the page was made. It ends with the session.
    """

    async def events() -> AsyncIterator[str]:
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
            await visit.ctx.clock.sleep(_EVERY_SECONDS)
            if visit.ctx.stopping.is_set() or await visit.sessions.of(visit.request) is None:
                return

    headers = {**HEADERS, "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), headers=headers, media_type=EVENT_STREAM)
