"""Koji's webhook: verify, read what it is about, store, answer. Nothing waits for Koji or Amplitude."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from connector.envelope import Envelope, read_envelope
from connector.errors import StoreUnavailable
from connector.inbound.refusals import Refusals
from connector.ports import Context, Delivery
from connector.settings import DEFAULT_CONNECTION, Connection, Settings
from connector.signature import Refused, Verified, signing_keys, verify

LARGEST_BODY = 1024 * 1024
_JSON = (b"content-type", b"application/json")
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
        """Begin to accept: the book is open."""
        self._context = context
        self._refusals = Refusals(context.ledger, context.clock)

    def routes(self) -> list[Route]:
        """Return the two routes."""
        return [Route("/webhooks/koji", self), Route("/webhooks/koji/{connection}", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        name = scope["path_params"].get("connection")
        if name is not None and name not in self._connections:
            await _answer(
                send,
                404,
                _problem(
                    404,
                    "not_found",
                    f"There is no connection of the name in this address. Use one of: {', '.join(sorted(self._connections))}.",
                ),
            )
            return
        if scope["method"] not in ("POST", "GET", "HEAD"):
            await _answer(
                send,
                405,
                _problem(405, "method_not_allowed", "Send webhooks with POST."),
                (b"allow", b"POST"),
            )
            return
        try:
            body = await _body(scope, receive)
        except ClientDisconnect:
            return
        if body is None:
            await _answer(send, 413, _problem(413, "too_large", "A webhook has at most 1 MiB."))
        elif scope["method"] != "POST" or not body:
            # Koji checks an endpoint when it is saved, in a way that it does not publish
            await _answer(send, 200, b"" if scope["method"] == "HEAD" else b'{"status":"ok"}')
        else:
            await self._receive(scope["headers"], name, body, send)

    async def _receive(
        self, headers: list[tuple[bytes, bytes]], path: str | None, body: bytes, send: Send
    ) -> None:
        context = self._context
        if context is None or context.stopping.is_set():
            await _unavailable(send, "The connector is starting or stopping.")
            return
        now = context.clock.now()
        verified, refused = self._verify(headers, path, body, now)
        parsed = _parse(body)
        if verified is None:
            await self._refuse(headers, path, body, parsed, refused, send)
            return
        if parsed is _MALFORMED:
            await _answer(
                send, 400, _problem(400, "malformed_json", "The signature is right, the body is not JSON.")
            )
            return
        connection, signature = verified
        envelope = read_envelope(parsed, headers, connection.koji_field_aliases)
        connection = self._owner(connection, signature.key, path, envelope)
        if connection.koji_field_aliases:
            envelope = read_envelope(parsed, headers, connection.koji_field_aliases)
        if _is_noise(parsed, envelope):
            await _answer(send, 200, b'{"status":"ignored"}')
            return
        delivery = _delivery(connection, envelope, signature, headers, body, now)
        try:
            fresh = await context.ledger.accept(delivery)
        except StoreUnavailable as error:
            await _unavailable(send, error.message, error.retry_after)
            return
        if delivery.interview_id is None:
            _log.warning("webhook_unreadable", connection=connection.name, webhook_event=envelope.event)
            await _answer(send, 200, b'{"status":"unreadable"}')
            return
        if fresh:
            context.wake()
        await _answer(send, 200, _accepted(delivery.interview_id, duplicate=not fresh))

    def _verify(
        self, headers: list[tuple[bytes, bytes]], path: str | None, body: bytes, now: int
    ) -> tuple[tuple[Connection, Verified] | None, list[Refused]]:
        """Return the first connection one of whose secrets made the signature."""
        refused: list[Refused] = []
        for name in (path,) if path is not None else self._connections:
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
                return (connection, result), []
            refused.append(result)
        return None, refused

    def _owner(self, matched: Connection, key: bytes, path: str | None, envelope: Envelope) -> Connection:
        """Among connections that share the secret: the one whose project the body names, else the path's, else default."""
        sharing = [self._connections[name] for name, keys in self._keys.items() if key in keys]
        if len(sharing) < 2:
            return matched
        for connection in sharing:
            if connection.koji_project_id and connection.koji_project_id in envelope.projects:
                return connection
        names = {connection.name: connection for connection in sharing}
        return names.get(path or DEFAULT_CONNECTION, matched)

    async def _refuse(
        self,
        headers: list[tuple[bytes, bytes]],
        path: str | None,
        body: bytes,
        parsed: Any,
        refused: list[Refused],
        send: Send,
    ) -> None:
        name = path or DEFAULT_CONNECTION
        assert self._refusals is not None  # noqa: S101 - `open` was called
        if parsed is not _MALFORMED and _is_ping(parsed, headers, self._connections[name]):
            await self._refusals.ping(path or "", headers)
            await _answer(send, 200, b'{"status":"ignored"}')
            return
        configured = any(self._keys[one] for one in ((path,) if path else self._keys))
        await self._refusals.refused(path or "", headers, len(body), refused, configured=configured)
        detail = (
            "No header carries a signature that KOJI_WEBHOOK_SECRET made over this body; check_connection shows what was tried."
            if configured
            else "KOJI_WEBHOOK_SECRET is not set, so that no webhook can be believed."
        )
        await _answer(send, 401, _problem(401, "unauthenticated", detail))


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return _MALFORMED


def _is_ping(parsed: Any, headers: list[tuple[bytes, bytes]], connection: Connection) -> bool:
    """Tell a harmless test call, which nobody need have signed, from an interview."""
    envelope = read_envelope(parsed, headers, connection.koji_field_aliases)
    return envelope.interview_id is None and not envelope.is_interview_event


def _is_noise(parsed: Any, envelope: Envelope) -> bool:
    """Tell events that are about something else. An object without event name and id may be an interview."""
    if parsed == {} or envelope.is_never_ours:
        return True
    return envelope.interview_id is None and envelope.event is not None and not envelope.is_interview_event


def _delivery(
    connection: Connection,
    envelope: Envelope,
    signature: Verified,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    now: int,
) -> Delivery:
    webhook_id = next((value for key, value in headers if key in (b"webhook-id", b"svix-id")), None)
    event = (envelope.event or "")[:200]
    return Delivery(
        connection=connection.name,
        received_at=now,
        source="webhook",
        state="unreadable" if envelope.interview_id is None else "new",
        event=event or None,
        interview_id=envelope.interview_id,
        webhook_id=webhook_id.decode("latin-1")[:200] if webhook_id else None,
        digest=hashlib.sha256(event.encode("utf-8", "replace") + b"\0" + body).hexdigest()[:32],
        body=body.decode("utf-8-sig"),
        header=signature.header,
        scheme=signature.scheme,
        signed_at=None if signature.timestamp is None else signature.timestamp * 1000,
    )


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """Return the body, or None as soon as it is over the limit."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > LARGEST_BODY:
        return None
    message = await receive()
    if not message.get("more_body") and message["type"] == "http.request":
        body: bytes = message.get("body", b"")
        return body if len(body) <= LARGEST_BODY else None
    parts = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts += message.get("body", b"")
        if len(parts) > LARGEST_BODY:
            return None
        if not message.get("more_body"):
            return bytes(parts)
        message = await receive()


def _accepted(interview_id: str, *, duplicate: bool) -> bytes:
    mark = "true" if duplicate else "false"
    return f'{{"status":"accepted","duplicate":{mark},"interview_id":{json.dumps(interview_id)}}}'.encode()


def _problem(status: int, code: str, detail: str) -> bytes:
    titles = {
        400: "Bad Request",
        401: "Unauthorized",
        404: "Not Found",
        405: "Method Not Allowed",
        413: "Content Too Large",
    }
    return json.dumps(
        {
            "type": f"/docs#{code}",
            "title": titles.get(status, "Service Unavailable"),
            "status": status,
            "detail": detail,
            "code": code,
            "message": detail,
            "errors": [],
        }
    ).encode()


async def _unavailable(send: Send, detail: str, retry_after: int | None = None) -> None:
    wait = str(retry_after or 5).encode()
    await _answer(send, 503, _problem(503, "store_unavailable", detail), (b"retry-after", wait))


async def _answer(send: Send, status: int, body: bytes, *extra: tuple[bytes, bytes]) -> None:
    kind = _JSON if status == 200 else (b"content-type", b"application/problem+json")
    headers = [kind, (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
