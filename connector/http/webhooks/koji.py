"""Take Koji's webhooks: verify, read the envelope, store, answer; without a call to Koji or Amplitude."""

from __future__ import annotations

import hashlib
from typing import Any

import structlog

from connector.context import Context
from connector.domain.results.koji_fields import Envelope, read_envelope
from connector.domain.results.sync import InboundWebhook
from connector.http.webhooks.receiver import Exchange, Headers, Webhook, WebhookRefused, described
from connector.http.webhooks.rejections import Rejections
from connector.security.webhook_signature import SignatureRefused, Verified, signing_keys, verify
from connector.settings.model import DEFAULT_CONNECTION, Connection, Settings
from connector.text.json import dumps, loads

LARGEST_BODY = 1024 * 1024
_IGNORED = b'{"status":"ignored"}'
_UNREADABLE = b'{"status":"unreadable"}'
_LONGEST_NAME = 200
_LARGEST_PING = 4_096  # a larger body of an unknown sender is not parsed: that costs more than to send it
_log = structlog.get_logger(__name__)
_MALFORMED = object()


class KojiWebhook(Webhook):
    """The endpoint of `/webhooks/koji` and `/webhooks/koji/{connection}` (interface 4.1)."""

    route = "/webhooks/koji"
    methods = ("GET", "HEAD", "POST")
    sent = "webhooks"
    fault_event = "webhook_failed"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._keys = {
            name: signing_keys(secret.get_secret_value() for secret in connection.koji_webhook_secret)
            for name, connection in settings.connections.items()
        }
        self._rejections: Rejections | None = None

    def open(self, context: Context) -> None:
        """Begin to accept webhooks: the ledger is open."""
        super().open(context)
        self._rejections = Rejections(context.ledger.diagnostics, context.clock)

    async def close(self) -> None:
        """Write the diagnostics that wait; the ledger is about to close."""
        if self._rejections is not None:
            await self._rejections.close()

    async def receive(self, path: str | None, exchange: Exchange) -> None:
        """Answer one request. An empty one gets 200: Koji checks a new endpoint so, in unpublished ways."""
        body = await exchange.body(LARGEST_BODY, "A webhook has at most 1 MiB.")
        if exchange.method != "POST" or not body:
            await exchange.ok(b'{"status":"ok"}', "empty")
            return
        context = self.opened()
        now = context.clock.now()
        headers = exchange.headers
        verified = self._verify(headers, path, body, now)
        if isinstance(verified, list):
            await self._refuse(exchange, path, body, verified)
            return
        parsed = _parse(body)
        if parsed is _MALFORMED:
            raise WebhookRefused(400, "malformed_json", "The signature is right, the body is not JSON.")
        matched, signature = verified
        envelope = read_envelope(parsed, headers, matched.koji_field_aliases)
        connection = self._owner(matched, signature.key, path, envelope)
        if connection is not matched:
            envelope = read_envelope(parsed, headers, connection.koji_field_aliases)
        if _is_noise(parsed, envelope):
            await exchange.ok(_IGNORED, "ignored")
            return
        inbound = _inbound(connection, envelope, signature, body, now)
        fresh = await context.ledger.inbox.accept(inbound)
        if inbound.interview_id is None:
            _log.warning("webhook_unreadable", connection=connection.name)
            await exchange.ok(_UNREADABLE, "unreadable")
            return
        if fresh:
            step = "koji.webhook", connection.name, inbound.interview_id
            context.trace(*step, now, context.clock.now())
            context.wake("intake")
        accepted = {"status": "accepted", "duplicate": not fresh, "interview_id": inbound.interview_id}
        await exchange.ok(dumps(accepted).encode(), "accepted" if fresh else "duplicate")
        # without the interview's id: the log must not tell when an anonymous interview came
        _log.info("webhook_accepted", connection=connection.name, duplicate=not fresh)

    def _verify(
        self, headers: Headers, path: str | None, body: bytes, now: int
    ) -> tuple[Connection, Verified] | list[SignatureRefused]:
        """Return the first connection that has the secret of the signature, or why no connection has it."""
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
        """Return the names of the connections that a URL stands for."""
        return tuple(self._connections) if path is None else (path,)

    def _owner(self, matched: Connection, key: bytes, path: str | None, envelope: Envelope) -> Connection:
        """Choose among connections that share a secret: by project, then by path, then the default."""
        sharing = {name: self._connections[name] for name, keys in self._keys.items() if key in keys}
        of_project = (c for c in sharing.values() if c.koji_project_id in envelope.projects)
        return next(of_project, sharing.get(path or DEFAULT_CONNECTION, matched))

    async def _refuse(
        self, exchange: Exchange, path: str | None, body: bytes, refused: list[SignatureRefused]
    ) -> None:
        assert self._rejections is not None  # noqa: S101 - `open` was called
        if len(body) <= _LARGEST_PING and self._is_ping(_parse(body), exchange.headers, path):
            await self._rejections.ping(path or "", exchange.headers)
            await exchange.ok(_IGNORED, "ignored")
            return
        configured = any(self._keys[name] for name in self._asked(path))
        await self._rejections.refused(
            path or "", exchange.headers, len(body), refused, configured=configured
        )
        detail = (
            "No header carries a signature that KOJI_WEBHOOK_SECRET made over this body; "
            "check_connection shows what was tried."
            if configured
            else "KOJI_WEBHOOK_SECRET is not set, so that no webhook can be believed."
        )
        raise WebhookRefused(401, "unauthenticated", detail)

    def _is_ping(self, parsed: Any, headers: Headers, path: str | None) -> bool:
        """Tell whether a request is a harmless test call, which needs no signature."""
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
    """Tell whether an event is of another kind; an object without event and id may be an interview."""
    if parsed == {} or envelope.is_never_ours:
        return True
    return envelope.interview_id is None and envelope.event is not None and not envelope.is_interview_event


def _inbound(
    connection: Connection, envelope: Envelope, signature: Verified, body: bytes, now: int
) -> InboundWebhook:
    event = (envelope.event or "")[:_LONGEST_NAME]
    return InboundWebhook(
        connection=connection.name,
        received_at=now,
        source="webhook",
        state="unreadable" if envelope.interview_id is None else "new",
        event=event or None,
        interview_id=envelope.interview_id,
        # an id that no signature covers proves nothing: another body may have come under it
        webhook_id=signature.message_id.decode("latin-1")[:_LONGEST_NAME] if signature.message_id else None,
        digest=hashlib.sha256(event.encode("utf-8", "replace") + b"\0" + body).hexdigest()[:32],
        body=body.decode("utf-8-sig"),
        header=signature.header,
        scheme=signature.scheme,
        signed_at=None if signature.timestamp is None else signature.timestamp * 1000,
    )


KOJI_WEBHOOK = described(
    KojiWebhook,
    "koji_webhook",
    "Receive Koji's webhook",
    description="Any JSON object, signed with KOJI_WEBHOOK_SECRET.",
    asks={"type": "object"},
    refused=("400", "401", "413", "415", "503"),
)
