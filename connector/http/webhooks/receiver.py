"""One request and its answer, without a framework in between: acknowledging must cost next to nothing."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from connector.errors import FieldError

Headers = list[tuple[bytes, bytes]]

DEFAULT_RETRY_SECONDS = 5
_LONGEST_DETAIL = 250


class Exchange:
    """Reads the body of one request and answers it once."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.headers: Headers = scope["headers"]
        self.query: bytes = scope.get("query_string", b"")
        self.begun = False
        self._receive = receive
        self._send = send

    async def body(self, limit: int) -> bytes | None:
        """Return the body, or None as soon as it is over `limit` bytes. Raises `ClientDisconnect`."""
        declared = dict(self.headers).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            return None
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                return None
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def ok(self, body: bytes) -> None:
        """Answer 200 with JSON; HEAD without the body."""
        await self._answer(200, b"application/json", b"" if self.method == "HEAD" else body)

    async def problem(
        self,
        status: int,
        code: str,
        detail: str,
        *more: tuple[bytes, bytes],
        errors: Sequence[FieldError] = (),
    ) -> None:
        """Answer with `application/problem+json` in the shape that every route of ours answers with."""
        words = detail if len(detail) <= _LONGEST_DETAIL else detail[: _LONGEST_DETAIL - 1] + "…"
        request_id = secrets.token_hex(8)
        body = {
            "type": f"/docs#{code}",
            "title": code.replace("_", " ").capitalize(),
            "status": status,
            "detail": words,
            "code": code,
            "message": words,
            "errors": [{"detail": one.detail, "pointer": one.pointer} for one in errors],
            "request_id": request_id,
        }
        marked = (b"x-request-id", request_id.encode())
        await self._answer(status, b"application/problem+json", json.dumps(body).encode(), marked, *more)

    async def unavailable(self, code: str, detail: str, retry_after: int | None = None) -> None:
        """Answer 503 and say when to come again, in whole seconds."""
        wait = str(retry_after or DEFAULT_RETRY_SECONDS).encode()
        await self.problem(503, code, detail, (b"retry-after", wait))

    async def _answer(self, status: int, kind: bytes, body: bytes, *more: tuple[bytes, bytes]) -> None:
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *more]
        self.begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
