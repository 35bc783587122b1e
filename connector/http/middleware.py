"""The outermost layer of HTTP: an id for every request, an answer for every error, no secrets in the log."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Iterable

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.errors import ConnectorError
from connector.http.body import DuplicateHeader
from connector.http.problem import internal_problem, problem

log = structlog.get_logger(__name__)

# Of two, one program reads the first and another the last; whoever checked may not be whoever acts.
ONCE = frozenset(
    {b"authorization", b"content-encoding", b"content-type", b"host", b"idempotency-key", b"x-api-key"}
)


class Boundary:
    """ASGI middleware: `X-Request-Id` on every answer, problems for errors, a log line for faults of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        begun = False

        async def send_with_id(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                _refuse_duplicates(scope["headers"])
                await self.app(scope, receive, send_with_id)
            except ClientDisconnect:
                return
            except ConnectorError as error:
                answer = problem(error, request_id)
            except Exception as error:  # noqa: BLE001 - the last place where a fault can become an answer
                _log_fault(error, request_id)
                answer = internal_problem(request_id)
            else:
                return
            if begun:
                # Too late for a status: without the end of the body the caller sees that it was cut.
                return
            await answer(scope, receive, send_with_id)


def _refuse_duplicates(headers: Iterable[tuple[bytes, bytes]]) -> None:
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in ONCE and name in seen:
            raise DuplicateHeader(f"{name.decode()}: this header was sent twice; send it once.")
        seen.add(name)


def _log_fault(error: Exception, request_id: str) -> None:
    log.error("request_failed", request_id=request_id, **described(error))


def described(error: BaseException) -> dict[str, object]:
    """Return an exception's type and frames; its message and locals may hold people's words."""
    frames = traceback.extract_tb(error.__traceback__)
    causes: list[str] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < 5:
        causes.append(type(cause).__qualname__)
        cause = cause.__cause__ or cause.__context__
    return {
        "exception": type(error).__qualname__,
        "causes": causes,
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
