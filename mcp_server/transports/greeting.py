"""Answer a client's first line over stdio while the server is still being imported.

Imports nothing heavy: the protocol's library alone takes 0.7 s to import, and clients give up after one.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO, Final

from connector import __version__
from mcp_server.package import INSTRUCTIONS, PACKAGE, TITLE

_MODERN: Final = "2026-07-28"
_HANDSHAKES: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
_META: Final = "io.modelcontextprotocol/"
_SERVER: Final = {"name": PACKAGE, "title": TITLE, "version": __version__}
_CAPABILITIES: Final = {
    "completions": {},
    "prompts": {"listChanged": False},
    "resources": {"listChanged": False, "subscribe": False},
    "tools": {"listChanged": False},
}


class Greeting(threading.Thread):
    """Reads lines until the first that only the server can answer, or that opens a session.

    `discover` is answered here for good, so that a client may still begin with `initialize` after it. An
    `initialize` is answered here and stays in `line` as well, because the server must know of it.
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
            request, result = greeted(line)
            if result is not None:
                answer = {"jsonrpc": "2.0", "id": request["id"], "result": result}
                with suppress(OSError):  # the client has gone; the end of the input follows
                    _write(self._outgoing, json.dumps(answer, separators=(",", ":")).encode() + b"\n")
            if request.get("method") != "server/discover" or result is None:
                self.line, self.answered = line, None if result is None else request["id"]
                return


def greeted(line: bytes) -> tuple[Mapping[str, Any], dict[str, Any] | None]:
    """Return a line's request, and the server's result for it; None where the server has to look closer."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {}, None
    match request:
        case {"jsonrpc": "2.0", "id": str() | int() as id_, "method": method, "params": dict(params)} if (
            not isinstance(id_, bool) and len(request) == 4
        ):
            return request, _result(method, params)
    return {}, None


def _result(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    known = {"capabilities": _CAPABILITIES, "instructions": INSTRUCTIONS}
    match method, params:
        case "server/discover", {"_meta": dict(meta)} if _is_modern(meta) and len(params) == 1:
            more = {"resultType": "complete", "supportedVersions": [_MODERN], "ttlMs": 0}
            return {"cacheScope": "private", **known, **more, "_meta": {f"{_META}serverInfo": _SERVER}}
        case "initialize", {
            "protocolVersion": str(asked),
            "capabilities": dict(can),
            "clientInfo": dict(who),
        } if "_meta" not in params and _is_client(who) and _are_capabilities(can):
            version = asked if asked in _HANDSHAKES else _HANDSHAKES[-1]
            return {**known, "protocolVersion": version, "serverInfo": _SERVER}
    return None


def _is_modern(meta: dict[str, Any]) -> bool:
    can = meta.get(f"{_META}clientCapabilities")
    who = meta.get(f"{_META}clientInfo", {"name": "", "version": ""})
    return meta.get(f"{_META}protocolVersion") == _MODERN and _are_capabilities(can) and _is_client(who)


def _is_client(who: object) -> bool:
    return isinstance(who, dict) and isinstance(who.get("name"), str) and isinstance(who.get("version"), str)


def _are_capabilities(can: object) -> bool:
    return isinstance(can, dict) and all(isinstance(one, dict) for one in can.values())


def _write(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]
