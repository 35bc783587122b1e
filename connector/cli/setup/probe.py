"""Who listens where a server of these settings would listen."""

from __future__ import annotations

import json
from enum import Enum
from http.client import HTTPConnection, HTTPException

from connector.settings.model import Settings

_SECONDS = 2.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class Listener(Enum):
    """What was found."""

    NOBODY = "nobody"
    OURS = "ours"
    STRANGER = "stranger"


def who_listens(settings: Settings) -> Listener:
    """Ask HOST:PORT for its health."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    asked = HTTPConnection(host, settings.port, timeout=_SECONDS)
    try:
        asked.request("GET", "/healthz")
        answer = asked.getresponse()
        healthy = answer.status == 200 and json.loads(answer.read(1_000)) == {"status": "ok"}
    except (ConnectionRefusedError, TimeoutError):
        return Listener.NOBODY
    except (OSError, HTTPException, ValueError):
        return Listener.STRANGER
    finally:
        asked.close()
    return Listener.OURS if healthy else Listener.STRANGER
