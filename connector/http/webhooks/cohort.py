"""Amplitude's cohort webhook: check the token, read who entered or left, store, answer. A lane does more."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.context import Context
from connector.domain.launches.cohort_message import (
    CohortMessage,
    Head,
    digest_of,
    head_of,
    members_of,
    pieces_of,
)
from connector.errors import InvalidInput, StoreUnavailable
from connector.http.webhooks.receiver import Exchange
from connector.settings.model import DEFAULT_CONNECTION, Connection, Settings
from connector.text.json import dumps, loads

LARGEST_BODY = 20 * 1024 * 1024
_ROUTE = "/webhooks/amplitude/cohorts"
_OF_CONNECTION = re.compile(r"/[^/]*/?")
_SMALL = 16_384
_log = structlog.get_logger(__name__)


class _Read(NamedTuple):
    head: Head
    pieces: list[str]
    users: int
    digest: str


class CohortWebhook:
    """The endpoint of `/webhooks/amplitude/cohorts` and `/webhooks/amplitude/cohorts/{connection}` (4.2)."""

    def __init__(self, settings: Settings) -> None:
        self._connections = settings.connections
        self._tokens = {
            name: _digest(connection.amplitude_cohort_webhook_token.get_secret_value().encode())
            for name, connection in settings.connections.items()
            if connection.amplitude_cohort_webhook_token is not None
        }
        self._context: Context | None = None
        # one after the other: read side by side they would all be late, not only the last
        self._reading = asyncio.Lock()

    def open(self, context: Context) -> None:
        """Begin to accept: the ledger is open."""
        self._context = context

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        """Return an application that takes these webhooks before any routing."""

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                route, _, connection = scope["path"].partition(_ROUTE)
                if not route and (not connection or _OF_CONNECTION.fullmatch(connection)):
                    await self.answer(connection.strip("/") or None, Exchange(scope, receive, send))
                    return
            await app(scope, receive, send)

        return front

    async def answer(self, path: str | None, exchange: Exchange) -> None:
        """Answer one request to the connection that its path names, if any."""
        try:
            await self._answer(path, exchange)
        except Exception:
            _log.exception("cohort_webhook_failed")
            if exchange.begun:
                raise
            await exchange.problem(500, "internal_error", "The webhook could not be taken; send it again.")

    async def _answer(self, path: str | None, exchange: Exchange) -> None:
        if path is not None and path not in self._connections:
            await exchange.problem(
                404, "unknown_connection", "No connection has the name in this address; see list_connections."
            )
        elif exchange.method != "POST":
            await exchange.problem(405, "method_not_allowed", "Send cohorts with POST.", (b"allow", b"POST"))
        elif (connection := self._believed(path, exchange)) is None:
            await self._refuse(path, exchange)
        else:
            await self._receive(connection, exchange)

    def _believed(self, path: str | None, exchange: Exchange) -> Connection | None:
        """Return whose token a request carries; of several that share it the default one."""
        presented = [_digest(one) for one in _presented(exchange)]
        asked = self._tokens if path is None else {path: self._tokens.get(path)}
        matched = []
        # all of them, in constant time, so that the time taken tells nothing
        for name, expected in asked.items():
            same = [expected is not None and hmac.compare_digest(one, expected) for one in presented]
            if any(same):
                matched.append(name)
        if not matched:
            return None
        return self._connections[DEFAULT_CONNECTION if DEFAULT_CONNECTION in matched else matched[0]]

    async def _refuse(self, path: str | None, exchange: Exchange) -> None:
        configured = self._tokens if path is None else path in self._tokens
        detail = (
            "The token is missing or wrong: send the value of AMPLITUDE_COHORT_WEBHOOK_TOKEN as "
            "`Authorization: Bearer TOKEN`, as `X-API-Key: TOKEN`, or as ?token= in the address."
            if configured
            else "AMPLITUDE_COHORT_WEBHOOK_TOKEN is not set, so that no cohort can be believed."
        )
        _log.warning("cohort_webhook_refused", configured=bool(configured))
        await exchange.problem(401, "unauthenticated", detail)

    async def _receive(self, connection: Connection, exchange: Exchange) -> None:
        context = self._context
        if context is None or context.stopping.is_set():
            await exchange.unavailable("stopping", "The connector is starting or stopping; send it again.")
            return
        try:
            body = await exchange.body(LARGEST_BODY)
        except ClientDisconnect:
            return
        now = context.clock.now()
        if body is None:
            await exchange.problem(413, "too_large", "A message has at most 20 MiB; send fewer properties.")
            return
        try:
            read = await self._read(connection, _parameter(exchange, "cohort_id"), body)
        except InvalidInput as error:
            await exchange.problem(422, error.reason, error.message, errors=error.errors)
            return
        except (ValueError, RecursionError):
            await exchange.problem(
                400, "malformed_json", "The body is not JSON; check the template of the webhook in Amplitude."
            )
            return
        try:
            fresh = await self._store(context, connection, read, now)
        except StoreUnavailable as error:
            await exchange.unavailable(error.reason, error.message, error.retry_after)
            return
        if fresh:
            context.wake("cohorts")
        told = {"status": "accepted", "duplicate": not fresh, "users": read.users}
        await exchange.ok(dumps(told).encode())

    async def _read(self, connection: Connection, cohort_id: str | None, body: bytes) -> _Read:
        if len(body) <= _SMALL:
            return _read(connection, cohort_id, body)
        async with self._reading:
            return await asyncio.to_thread(_read, connection, cohort_id, body)

    async def _store(self, context: Context, connection: Connection, read: _Read, now: int) -> bool:
        head = read.head
        message = CohortMessage(
            id=0,
            connection=connection.name,
            message_id=head.message_id or read.digest,
            cohort_id=head.cohort_id,
            cohort_name=head.cohort_name,
            in_cohort=head.in_cohort,
            computed_at=now if head.computed_at is None else head.computed_at,
            received_at=now,
        )
        return await context.ledger.cohort_inbox.accept(message, read.pieces)


def _read(connection: Connection, cohort_id: str | None, body: bytes) -> _Read:
    """Return a body as it is stored. Raises `InvalidInput`, and `ValueError` for what is no JSON."""
    head, rows = head_of(loads(body.decode("utf-8-sig")), cohort_id)
    defaults = connection.of_cohort(head.cohort_id)
    members = members_of(rows, defaults.email_property or "email", defaults.name_property or "name")
    return _Read(head, pieces_of(members), len(members), digest_of(head.cohort_id, body))


def _presented(exchange: Exchange) -> Iterator[bytes]:
    for name, value in exchange.headers:
        if name == b"x-api-key":
            yield value.strip()
        elif name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                yield token.strip()
    if (token_of_query := _parameter(exchange, "token")) is not None:
        yield token_of_query.encode("utf-8", "replace")


def _parameter(exchange: Exchange, name: str) -> str | None:
    # as text: given bytes, parse_qsl fails over whatever is no ASCII once it is unquoted
    given = parse_qsl(exchange.query.decode("latin-1"))
    return next((value for key, value in given if key == name), None)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
