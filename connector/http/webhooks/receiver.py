"""Receive webhooks without a framework in between, because an acknowledgement must cost next to nothing."""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.context import Context
from connector.errors import FieldError, LedgerUnavailable, TooManyFailures
from connector.http.endpoint import Endpoint, parameter
from connector.http.health import Status
from connector.http.problem import DEFAULT_RETRY_SECONDS, MEDIA_TYPE, as_json, problem_of
from connector.http.token_throttle import trust
from connector.metrics import WEBHOOKS
from connector.settings.model import Settings

Headers = list[tuple[bytes, bytes]]

_OF_CONNECTION = re.compile(r"/[^/]*/?")
_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class WebhookRefused(Exception):
    """The request is answered with a problem."""

    status: int
    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    header: tuple[bytes, bytes] | None = None


class Exchange:
    """Reads the body of one request and answers it once."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.address: str = (scope.get("client") or ("",))[0]
        self.headers: Headers = scope["headers"]
        self.query: bytes = scope.get("query_string", b"")
        self.begun = False
        self._scope = scope
        self._receive = receive
        self._send = send

    async def body(self, limit: int, too_large: str) -> bytes:
        """Return the body of at most `limit` bytes. Raises `WebhookRefused` and `ClientDisconnect`."""
        encodings = [value for name, value in self.headers if name == b"content-encoding"]
        if any(encoding.strip().lower() not in {b"", b"identity"} for encoding in encodings):
            detail = "Content-Encoding: switch compression off at the sender; the body must come as it is."
            raise WebhookRefused(415, "unsupported_content_encoding", detail)
        declared = dict(self.headers).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            raise WebhookRefused(413, "too_large", too_large)
        body = bytearray()  # not a list of chunks, of which each costs more than its bytes
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk: bytes = message.get("body", b"")
            if len(body) + len(chunk) > limit:
                raise WebhookRefused(413, "too_large", too_large)
            if not message.get("more_body"):
                return bytes(body) + chunk if body else chunk
            body += chunk

    def trust(self, sender: str) -> None:
        """Note that the sender is known, so that the server's limits for strangers end."""
        trust(self._scope, sender)

    async def ok(self, body: bytes, result: str) -> None:
        """Answer 200 with JSON; HEAD without the body."""
        WEBHOOKS.labels(result).inc()
        await self._answer(200, b"application/json", b"" if self.method == "HEAD" else body)

    async def problem(self, refused: WebhookRefused) -> None:
        """Answer with `application/problem+json`, as every other route does."""
        WEBHOOKS.labels("refused" if refused.status < 500 else "failed").inc()
        request_id = secrets.token_hex(8)
        body = problem_of(refused.status, refused.code, refused.detail, request_id, refused.errors)
        more = [(b"x-request-id", request_id.encode()), *([refused.header] if refused.header else [])]
        await self._answer(refused.status, MEDIA_TYPE.encode(), as_json(body).encode(), *more)

    async def _answer(self, status: int, kind: bytes, body: bytes, *more: tuple[bytes, bytes]) -> None:
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *more]
        self.begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


class Webhook(ABC):
    """The endpoint at `route`, and at `route` followed by the name of a connection."""

    route: ClassVar[str]
    methods: ClassVar[Sequence[str]] = ("POST",)
    sent: ClassVar[str]  # the plural noun for its requests
    fault_event: ClassVar[str]  # the log event of a fault

    def __init__(self, settings: Settings) -> None:
        self._connections = settings.connections
        self._context: Context | None = None

    def open(self, context: Context) -> None:
        """Begin to accept webhooks: the ledger is open."""
        self._context = context

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        """Return an application that takes webhooks before any routing, which would take half their time."""

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                route, _, connection = scope["path"].partition(self.route)
                if not route and (not connection or _OF_CONNECTION.fullmatch(connection)):
                    await self.answer(connection.strip("/") or None, Exchange(scope, receive, send))
                    return
            await app(scope, receive, send)

        return front

    async def answer(self, path: str | None, exchange: Exchange) -> None:
        """Answer one request to the connection that its path names, if any."""
        try:
            self._check(path, exchange.method)
            await self.receive(path, exchange)
        except ClientDisconnect:
            return
        except WebhookRefused as refused:
            await exchange.problem(refused)
        except (LedgerUnavailable, TooManyFailures) as error:
            refusal = _unavailable(error.reason, error.message, error.retry_after, error.http_status)
            await exchange.problem(refusal)
        except Exception:
            _log.exception(self.fault_event)
            if exchange.begun:
                raise
            detail = "The webhook could not be taken; send it again."
            await exchange.problem(WebhookRefused(500, "internal_error", detail))

    @abstractmethod
    async def receive(self, path: str | None, exchange: Exchange) -> None:
        """Answer a request of an allowed method. Raises `WebhookRefused` and `LedgerUnavailable`."""

    def opened(self) -> Context:
        """Return the context. Raises `WebhookRefused` (503) before `open` and while the server stops."""
        if self._context is None or self._context.stopping.is_set():
            raise _unavailable("stopping", "The connector is starting or stopping; send it again.")
        return self._context

    def _check(self, path: str | None, method: str) -> None:
        if path is not None and path not in self._connections:
            detail = "No connection has the name in this URL; see list_connections."
            raise WebhookRefused(404, "unknown_connection", detail)
        if method not in self.methods:
            allowed = (b"allow", ", ".join(self.methods).encode())
            detail = f"Send {self.sent} with POST."
            raise WebhookRefused(405, "method_not_allowed", detail, header=allowed)


def _unavailable(code: str, detail: str, retry_after: int | None = None, status: int = 503) -> WebhookRefused:
    """Return a refusal that says when to try again, in whole seconds."""
    wait = str(retry_after or DEFAULT_RETRY_SECONDS).encode()
    return WebhookRefused(status, code, detail, header=(b"retry-after", wait))


def described(webhook: type[Webhook], name: str, summary: str, **about: Any) -> tuple[Endpoint, Endpoint]:
    """Return a webhook's two routes, for the OpenAPI document only: `in_front_of` serves them.

    `about` are the other fields of `Endpoint`.
    """
    shared = Endpoint(name, "POST", webhook.route, summary, answers=Status, is_open=True, **about)
    of_connection = replace(
        shared,
        path=f"{webhook.route}/{{connection}}",
        name=f"{name}_of_connection",
        summary=f"{summary} of one connection",
        parameters=[parameter("connection", "path", "Whose secret it is."), *shared.parameters],
        refused=sorted({*shared.refused, "404"}),
    )
    return shared, of_connection
