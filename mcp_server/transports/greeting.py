"""Answer a client's first line over stdio while the server is still being imported.

Imports nothing heavy: the protocol's library alone takes 0.7 s to import, and clients give up after one.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import Any, BinaryIO, Final

from connector import __version__
from mcp_server.package import INSTRUCTIONS, PACKAGE, TITLE

_HANDSHAKES: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
_OURS: Final = "io.modelcontextprotocol/"
_SERVER: Final = {"name": PACKAGE, "title": TITLE, "version": __version__}
_KNOWN: Final[dict[str, Any]] = {
    "capabilities": {
        "completions": {},
        "prompts": {"listChanged": False},
        "resources": {"listChanged": False, "subscribe": False},
        "tools": {"listChanged": False},
    },
    "instructions": INSTRUCTIONS,
}
_DISCOVERED: Final = {
    "result": {
        **_KNOWN,
        "capabilities": {**_KNOWN["capabilities"], "extensions": {f"{_OURS}ui": {}}},
        "cacheScope": "private",
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "ttlMs": 0,
        "_meta": {f"{_OURS}serverInfo": _SERVER},
    }
}
_UNKNOWN: Final = {"error": {"code": -32601, "message": "Method not found", "data": "server/discover"}}
"""The answer to a discovery without the envelope of the revision that has it."""


class _Meta:
    VERSION = f"{_OURS}protocolVersion"
    CAPABILITIES = f"{_OURS}clientCapabilities"


class Greeting(threading.Thread):
    """Reads lines until the first that only the server can answer, or that opens a session.

    `server/discover` is answered here for good, so that a client may still begin with `initialize` after it.
    An `initialize` is answered here and stays in `line` as well, because the server must know of it.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__(name="greeting", daemon=True)
        # not sys.stdin's own reader: Python cannot end while a thread waits in that one
        self.incoming: BinaryIO = open(incoming, "rb", closefd=False)  # noqa: SIM115
        self.line = b""
        """The line for the server; empty at the end of the input."""
        self.answered: int | str | None = None
        """The id of the `initialize` that was answered."""
        self._outgoing = outgoing

    def run(self) -> None:
        """Answer what can be answered."""
        for line in self.incoming:
            request_id, said = greeted(line)
            if said is not None:
                answer = json.dumps({"jsonrpc": "2.0", "id": request_id, **said})
                with suppress(OSError):  # the client has gone; the end of the input follows
                    os.write(
                        self._outgoing, answer.encode() + b"\n"
                    )  # whole: a pipe takes 4,096 bytes at once
            if said is not _DISCOVERED and said is not _UNKNOWN:
                self.line, self.answered = line, request_id
                return


def greeted(line: bytes) -> tuple[int | str | None, dict[str, Any] | None]:
    """Return a request's id, and the server's result or error; None and None where the server has to look."""
    try:
        request = json.loads(line)
        request_id, method, params = request["id"], request["method"], request.get("params", {})
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None, None
    if request.get("jsonrpc") == "2.0" and type(request_id) in (int, str):
        match method, params:
            case "server/discover", {"_meta": {_Meta.VERSION: "2026-07-28", _Meta.CAPABILITIES: {}}}:
                return request_id, _DISCOVERED
            case "server/discover", dict() if params.get("_meta", {}) == {}:
                return request_id, _UNKNOWN
            case "initialize", {
                "protocolVersion": str(asked),
                "capabilities": {},
                "clientInfo": dict(who),
            } if "_meta" not in params and type(who.get("name")) is type(who.get("version")) is str:
                version = asked if asked in _HANDSHAKES else _HANDSHAKES[-1]
                found = {**_KNOWN, "protocolVersion": version, "serverInfo": _SERVER}
                return request_id, {"result": found}
    return None, None
