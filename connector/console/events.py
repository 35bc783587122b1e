"""The two server-sent events of the console: fetch this fragment again, and nothing more will come."""

from __future__ import annotations

from typing import Final

EVENT_STREAM: Final = "text/event-stream"
CHANGED: Final = "event: changed\ndata:\n\n"
ENDED: Final = "event: ended\ndata:\n\n"
