"""Koji's webhook: verify, read what it is about, store, answer. Nothing waits for Koji or Amplitude."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.context import Context
from connector.domain.results.koji_fields import Envelope, read_envelope
from connector.domain.results.sync import InboundWebhook
from connector.errors import StoreUnavailable
from connector.http.webhooks.receiver import Exchange, Headers
from connector.http.webhooks.rejections import Refusals
from connector.security.webhook_signature import (
    SignatureRefused,
    Verified,
    signing_keys,
    verify,
)
from connector.settings.model import DEFAULT_CONNECTION, Connection, Settings
from connector.text.json import loads

LARGEST_BODY = 1024 * 1024
_ROUTE = "/webhooks/koji"
_OF_CONNECTION = re.compile(r"/[^/]*/?")
_IGNORED = b'{"status":"ignored"}'
_UNREADABLE = b'{"status":"unreadable"}'
_ID_HEADERS = (b"webhook-id", b"svix-id")
_LONGEST_NAME = 200
_log = structlog.get_logger(__name__)
_MALFORMED = object()


class KojiWebhook:
    """The endpoint of `/webhooks/koji` and `/webhooks/koji/{connection}` (interface 4.1)."""

    def __init__(self, settings: Settings) -> None:
        self._connections = settings.connections
        self._keys = {
            name: signing_keys(secret.get_secret_value() for secret in connection.koji_webhook_secret)
            for name, connection in settings.connections.items()
        }
        self._context: Context | None = None
        self._refusals: Refusals | None = None

    def open(self, context: Context) -> None:
        """Begin to accept: the ledger is open."""
        self._context = context
        self._refusals = Refusals(context.ledger.diagnostics, context.clock)

    async def close(self) -> None:
        """Write what is still to be noted; the ledger is about to close."""
        if self._refusals is not None:
            await self._refusals.close()

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        """Return an application that takes webhooks before any routing: that would cost half their time."""

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
            _log.exception("webhook_failed")
            if exchange.begun:
                raise
            await exchange.problem(500, "internal_error", "The webhook could not be taken; send it again.")

    async def _answer(self, path: str | None, exchange: Exchange) -> None:
        if path is not None and path not in self._connections:
            await exchange.problem(
                404, "unknown_connection", "No connection has the name in this address; see list_connections."
            )
            return
        if exchange.method not in ("POST", "GET", "HEAD"):
            await exchange.problem(
                405, "method_not_allowed", "Send webhooks with POST.", (b"allow", b"GET, HEAD, POST")
            )
            return
        try:
            body = await exchange.body(LARGEST_BODY)
        except ClientDisconnect:
            return
        if body is None:
            await exchange.problem(413, "too_large", "A webhook has at most 1 MiB.")
        elif exchange.method != "POST" or not body:
            # Koji checks an endpoint when it is saved, in a way that it does not publish
            await exchange.ok(b'{"status":"ok"}')
        else:
            await self._receive(exchange, path, body)

    async def _receive(self, exchange: Exchange, path: str | None, body: bytes) -> None:
        context = self._context
        if context is None or context.stopping.is_set():
            await exchange.unavailable("stopping", "The connector is starting or stopping; send it again.")
            return
        now = context.clock.now()
        headers = exchange.headers
        verified = self._verify(headers, path, body, now)
        parsed = _parse(body)
        if isinstance(verified, list):
            await self._refuse(exchange, path, body, parsed, verified)
            return
        if parsed is _MALFORMED:
            await exchange.problem(400, "malformed_json", "The signature is right, the body is not JSON.")
            return
        matched, signature = verified
        envelope = read_envelope(parsed, headers, matched.koji_field_aliases)
        connection = self._owner(matched, signature.key, path, envelope)
        if connection is not matched:
            envelope = read_envelope(parsed, headers, connection.koji_field_aliases)
        if _is_noise(parsed, envelope):
            await exchange.ok(_IGNORED)
            return
        delivery = _delivery(connection, envelope, signature, headers, body, now)
        try:
            fresh = await context.ledger.inbox.accept(delivery)
        except StoreUnavailable as error:
            await exchange.unavailable(error.reason, error.message, error.retry_after)
            return
        if delivery.interview_id is None:
            _log.warning("webhook_unreadable", connection=connection.name)
            await exchange.ok(_UNREADABLE)
            return
        if fresh:
            context.wake("intake")
        await exchange.ok(_accepted(delivery.interview_id, duplicate=not fresh))

    def _verify(
        self, headers: Headers, path: str | None, body: bytes, now: int
    ) -> tuple[Connection, Verified] | list[SignatureRefused]:
        """Return the first connection one of whose secrets made the signature, or why none did."""
        refused: list[SignatureRefused] = []
        for name in self._asked(path):
            connection = self._connections[name]
            result = verify(
                body,
                headers,
                keys=self._keys[name],
                scheme=connection.koji_signature_scheme,
                header=connection.koji_signature_header,
                tolerance_seconds=connection.koji_timestamp_tolerance_seconds,
                now=now / 1000,
            )
            if isinstance(result, Verified):
                return connection, result
            refused.append(result)
        return refused

    def _asked(self, path: str | None) -> tuple[str, ...]:
        """Return the connections that an address stands for."""
        return tuple(self._connections) if path is None else (path,)

    def _owner(self, matched: Connection, key: bytes, path: str | None, envelope: Envelope) -> Connection:
        """Return whose it is among those that share a secret: the named project's, the path's, or default."""
        sharing = {name: self._connections[name] for name, keys in self._keys.items() if key in keys}
        for connection in sharing.values():
            if connection.koji_project_id in envelope.projects:
                return connection
        return sharing.get(path or DEFAULT_CONNECTION, matched)

    async def _refuse(
        self, exchange: Exchange, path: str | None, body: bytes, parsed: Any, refused: list[SignatureRefused]
    ) -> None:
        assert self._refusals is not None  # noqa: S101 - `open` was called
        if self._is_ping(parsed, exchange.headers, path):
            await self._refusals.ping(path or "", exchange.headers)
            await exchange.ok(_IGNORED)
            return
        configured = any(self._keys[name] for name in self._asked(path))
        await self._refusals.refused(path or "", exchange.headers, len(body), refused, configured=configured)
        detail = (
            "No header carries a signature that KOJI_WEBHOOK_SECRET made over this body; "
            "check_connection shows what was tried."
            if configured
            else "KOJI_WEBHOOK_SECRET is not set, so that no webhook can be believed."
        )
        await exchange.problem(401, "unauthenticated", detail)

    def _is_ping(self, parsed: Any, headers: Headers, path: str | None) -> bool:
        """Tell a harmless test call, which nobody need have signed, from an interview."""
        if parsed is _MALFORMED:
            return False
        read = [
            read_envelope(parsed, headers, self._connections[name].koji_field_aliases)
            for name in self._asked(path)
        ]
        return all(envelope.interview_id is None and not envelope.is_interview_event for envelope in read)


def _parse(body: bytes) -> Any:
    try:
        return loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return _MALFORMED


def _is_noise(parsed: Any, envelope: Envelope) -> bool:
    """Tell events that are about something else. An object without event name and id may be an interview."""
    if parsed == {} or envelope.is_never_ours:
        return True
    return envelope.interview_id is None and envelope.event is not None and not envelope.is_interview_event


def _delivery(
    connection: Connection, envelope: Envelope, signature: Verified, headers: Headers, body: bytes, now: int
) -> InboundWebhook:
    webhook_id = next((value for key, value in headers if key in _ID_HEADERS), None)
    event = (envelope.event or "")[:_LONGEST_NAME]
    return InboundWebhook(
        connection=connection.name,
        received_at=now,
        source="webhook",
        state="unreadable" if envelope.interview_id is None else "new",
        event=event or None,
        interview_id=envelope.interview_id,
        webhook_id=webhook_id.decode("latin-1")[:_LONGEST_NAME] if webhook_id else None,
        digest=hashlib.sha256(event.encode("utf-8", "replace") + b"\0" + body).hexdigest()[:32],
        body=body.decode("utf-8-sig"),
        header=signature.header,
        scheme=signature.scheme,
        signed_at=None if signature.timestamp is None else signature.timestamp * 1000,
    )


def _accepted(interview_id: str, *, duplicate: bool) -> bytes:
    mark = "true" if duplicate else "false"
    return f'{{"status":"accepted","duplicate":{mark},"interview_id":{json.dumps(interview_id)}}}'.encode()
