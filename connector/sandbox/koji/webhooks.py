"""Write, sign and deliver Koji's webhooks; retry a refused webhook.

Koji's documents describe payloads but show no example, so the keys come from that text. Koji documents no
signature scheme, so the sandbox supports every common scheme.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from connector.net.client import tls_context
from connector.sandbox.koji.store import Interview, KojiStore, iso, transcript_url
from connector.sandbox.options import LOG_SIZE, SandboxOptions, WebhookEndpoint

TIMEOUT_SECONDS: Final = 10.0
CONCURRENCY: Final = 8


@dataclass(frozen=True, slots=True)
class Message:
    """One event to deliver; every attempt sends the same body and id."""

    endpoint: WebhookEndpoint
    delivery_id: str
    event: str
    interview_id: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver. `status` is None when there was no answer; `attempt` counts from 1."""

    delivery_id: str
    event: str
    interview_id: str | None
    attempt: int
    status: int | None
    error: str | None
    sent_at: float
    seconds: float


class WebhookSender:
    """Delivers signed events to one endpoint while `running`. `now` returns epoch seconds."""

    def __init__(
        self,
        store: KojiStore,
        options: SandboxOptions,
        now: Callable[[], float],
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._store = store
        self._now = now
        self._transport = transport
        self.endpoint = options.webhook
        self.log: deque[Attempt] = deque(maxlen=LOG_SIZE)
        self._client: httpx.AsyncClient
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._deliveries: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver messages until the block ends; then cancel all attempts and retries."""
        async with httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS, verify=tls_context(), trust_env=False, transport=self._transport
        ) as self._client:
            try:
                yield
            finally:
                self._cancel()
                await self.drained()

    @property
    def waiting(self) -> int:
        """Count the messages that wait for an attempt or its answer."""
        return len(self._deliveries)

    async def drained(self) -> None:
        """Wait until `waiting` is 0."""
        while self._deliveries:
            await asyncio.gather(*self._deliveries, return_exceptions=True)

    def send(self, event: str, interview: Interview, *, times: int = 1) -> bool:
        """Queue a message `times` times; return False if no endpoint takes the event."""
        endpoint = self.endpoint
        if endpoint is None or event not in endpoint.events:
            return False
        delivery_id = f"msg_{uuid.uuid4().hex}"
        body = event_body(self._store, interview, event, endpoint, delivery_id=delivery_id, now=self._now())
        message = Message(endpoint, delivery_id, event, interview.interview_id, body)
        for _ in range(times):
            delivery = asyncio.create_task(self._deliver(message))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)
        return True

    async def verify(self, endpoint: WebhookEndpoint) -> int | None:
        """Send an empty request to an endpoint; save the endpoint if the answer is 200.

        Koji's webhook setup requires 200. Return the status, or None without an answer.
        """
        message = Message(endpoint, f"msg_{uuid.uuid4().hex}", "verification", None, b"")
        status = await self._attempt(message, 1)
        if status == 200:
            self.endpoint = endpoint
        return status

    def reset(self) -> None:
        """Delete the log, and cancel what is not delivered."""
        self.log.clear()
        self._cancel()

    def _cancel(self) -> None:
        for delivery in self._deliveries:
            delivery.cancel()

    async def _deliver(self, message: Message) -> None:
        """Attempt until the endpoint answers 2xx, at most `retries` times more."""
        for retries in range(message.endpoint.retries + 1):
            if retries:
                await asyncio.sleep(message.endpoint.backoff_seconds * 2 ** (retries - 1))
            async with self._slots:
                status = await self._attempt(message, retries + 1)
            if status is not None and 200 <= status < 300:
                return

    async def _attempt(self, message: Message, attempt: int) -> int | None:
        endpoint, status, error, began = message.endpoint, None, None, time.monotonic()
        headers = {"Content-Type": "application/json", "User-Agent": "Koji-Sandbox/1.0"}
        if message.body:
            if endpoint.event_header is not None:
                headers[endpoint.event_header] = message.event
            headers |= signature_headers(
                endpoint, message.body, delivery_id=message.delivery_id, now=self._now()
            )
        try:
            response = await self._client.post(endpoint.url, content=message.body, headers=headers)
            status = response.status_code
        except httpx.HTTPError as failure:
            error = type(failure).__name__
        seconds = round(time.monotonic() - began, 4)
        about = (message.delivery_id, message.event, message.interview_id)
        self.log.append(Attempt(*about, attempt, status, error, self._now(), seconds))
        return status


def event_body(
    store: KojiStore,
    interview: Interview,
    event: str,
    endpoint: WebhookEndpoint,
    *,
    delivery_id: str,
    now: float,
) -> bytes:
    """Write the body of one event in the endpoint's envelope; `now` is epoch seconds."""
    fields: dict[str, Any] = {"interview_id": interview.interview_id}
    if endpoint.payload == "full":
        fields.update(_full_fields(store, interview, event))
    if endpoint.envelope == "data":
        body = {"id": delivery_id, "type": event, "created_at": iso(now), "data": fields}
    else:
        body = {"event": event, "timestamp": iso(now), **fields}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _full_fields(store: KojiStore, interview: Interview, event: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "project_id": store.project_id,
        "respondent_email": None if interview.anonymous else interview.email,
        "mode": interview.mode,
        "status": "completed",
        "completed_at": iso(interview.completed_at or 0.0),
        "stats": store.stats(interview),
    }
    if interview.anonymous:
        fields["anonymous"] = True
    elif interview.external_id is not None:
        fields["external_id"] = interview.external_id
    if event != "interview.completed" and interview.result.quality_score is not None:
        fields.update(store.analysis(interview), transcript_url=transcript_url(interview))
    return fields


def signature_headers(
    endpoint: WebhookEndpoint, body: bytes, *, delivery_id: str, now: float
) -> Mapping[str, str]:
    """Return the headers that sign `body` (HMAC-SHA256) in the endpoint's scheme; `now` is epoch seconds.

    Standard Webhooks: a secret with prefix `whsec_` is base64 of the key, and the header names are fixed.
    """
    key, stamp = endpoint.secret.encode(), str(int(now))
    if endpoint.scheme == "standard-webhooks":
        if endpoint.secret.startswith("whsec_"):
            key = base64.b64decode(endpoint.secret.removeprefix("whsec_"))
        digest = _digest(key, f"{delivery_id}.{stamp}.".encode() + body)
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
    if endpoint.scheme == "timestamped":
        return {endpoint.header: f"t={stamp},v1={_digest(key, f'{stamp}.'.encode() + body).hex()}"}
    digest = _digest(key, body)
    if endpoint.scheme == "base64":
        return {endpoint.header: base64.b64encode(digest).decode()}
    return {endpoint.header: f"sha256={digest.hex()}" if endpoint.scheme == "sha256" else digest.hex()}


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
