"""Wrap all of HTTP: an id for every request, an answer for every error, no secrets in the log."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.errors import ConnectorError
from connector.http.body import DuplicateHeader
from connector.http.problem import internal_problem, problem
from connector.log import fault

log = structlog.get_logger(__name__)

# Of two such headers, one program reads the first and another the last: check and action could differ.
ONCE = frozenset(
    {b"authorization", b"content-encoding", b"content-type", b"host", b"idempotency-key", b"x-api-key"}
)

FAULT_ANSWER = "fault_answer"
"""The state of a request that answers to people: it makes the answer for a fault, of the request's id."""


class Boundary:
    """Adds `X-Request-Id` to every answer, answers errors with problems, and logs our own faults."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; pass other messages through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        has_started = False

        async def send_with_id(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
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
                # not `exception`, because its message may hold what people said
                log.error("request_failed", request_id=request_id, **fault(error))  # noqa: TRY400
                answer = scope["state"].get(FAULT_ANSWER, internal_problem)(request_id)
            else:
                return
            if not has_started:  # otherwise the missing end of the body shows the caller that it was cut
                await answer(scope, receive, send_with_id)


def _refuse_duplicates(headers: Iterable[tuple[bytes, bytes]]) -> None:
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in ONCE and name in seen:
            raise DuplicateHeader(f"{name.decode()}: this header was sent twice; send it once.")
        seen.add(name)
