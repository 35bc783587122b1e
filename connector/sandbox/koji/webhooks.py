"""Write, sign and deliver Koji's webhooks, and try again when they are not taken.

Koji's documents name what a payload holds but print none: the keys are those that its prose uses. They
publish no way of signing, so the stand-in can do each.
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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from connector.net.client import tls_context
from connector.sandbox.koji.store import Interview, KojiStore, iso, transcript_url
from connector.sandbox.options import WebhookEndpoint

TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """One event on its way; every attempt sends the same body and id."""

    endpoint: WebhookEndpoint
    delivery_id: str
    event: str
    interview_id: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
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
    """Deliver signed events to one endpoint; `start` and `stop` belong to the server's lifespan."""

    def __init__(
        self,
        store: KojiStore,
        now: Callable[[], float],
        *,
        concurrency: int,
        log_size: int,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._store = store
        self._now = now
        self._concurrency = concurrency
        self._transport = transport
        self.endpoint: WebhookEndpoint | None = None
        self.log: deque[Delivery] = deque(maxlen=log_size)
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._in_flight = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._retries: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Open the client and begin to deliver what is queued."""
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS, verify=tls_context(), trust_env=False, transport=self._transport
        )
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]

    async def stop(self) -> None:
        """Give up what is not delivered and close the client."""
        pending = [*self._tasks, *self._retries]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    @property
    def waiting(self) -> int:
        """Count messages that are queued, on their way, or wait for another attempt."""
        return self._queue.qsize() + self._in_flight + len(self._retries)

    async def drained(self) -> None:
        """Wait until nothing is waiting."""
        await self._queue.join()
        while self._retries:
            await asyncio.gather(*self._retries, return_exceptions=True)

    def send(self, event: str, interview: Interview, *, times: int = 1) -> bool:
        """Queue one message, delivered `times` over; False when no endpoint takes it."""
        endpoint = self.endpoint
        if endpoint is None or event not in endpoint.events:
            return False
        delivery_id = f"msg_{uuid.uuid4().hex}"
        body = event_body(self._store, interview, event, endpoint, delivery_id=delivery_id, now=self._now())
        message = Message(endpoint, delivery_id, event, interview.interview_id, body)
        for _ in range(times):
            self._queue.put_nowait(message)
        return True

    async def verify(self, endpoint: WebhookEndpoint) -> int | None:
        """Send the empty request of a newly saved endpoint; keep the endpoint when the answer is 200.

        Koji webhook setup: the server must answer 200. Returns the status, None without an answer.
        """
        message = Message(endpoint, f"msg_{uuid.uuid4().hex}", "verification", None, b"")
        status = await self._attempt(message, 1)
        if status == 200:
            self.endpoint = endpoint
        return status

    def reset(self) -> None:
        """Forget the log, and what is queued."""
        self.log.clear()
        while not self._queue.empty():
            self._queue.get_nowait()
            self._queue.task_done()
        for task in self._retries:
            task.cancel()

    async def _work(self) -> None:
        while True:
            message = await self._queue.get()
            self._in_flight += 1
            try:
                status = await self._attempt(message, 1)
                if not _delivered(status) and message.endpoint.retries > 0:
                    retry = asyncio.create_task(self._retry(message))
                    self._retries.add(retry)
                    retry.add_done_callback(self._retries.discard)
            finally:
                self._in_flight -= 1
                self._queue.task_done()

    async def _retry(self, message: Message) -> None:
        for number in range(message.endpoint.retries):
            await asyncio.sleep(message.endpoint.backoff_seconds * 2**number)
            if _delivered(await self._attempt(message, number + 2)):
                return

    async def _attempt(self, message: Message, attempt: int) -> int | None:
        if self._client is None:
            raise RuntimeError("The sender is not started.")
        status, error, began = None, None, time.monotonic()
        try:
            response = await self._client.post(
                message.endpoint.url, content=message.body, headers=self._headers(message)
            )
            status = response.status_code
        except httpx.HTTPError as failure:
            error = type(failure).__name__
        seconds = round(time.monotonic() - began, 4)
        about = (message.delivery_id, message.event, message.interview_id)
        self.log.append(Delivery(*about, attempt, status, error, self._now(), seconds))
        return status

    def _headers(self, message: Message) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "Koji-Sandbox/1.0"}
        if not message.body:
            return headers
        if message.endpoint.event_header is not None:
            headers[message.endpoint.event_header] = message.event
        signed = signature_headers(
            message.endpoint, message.body, delivery_id=message.delivery_id, now=self._now()
        )
        return {**headers, **signed}


def _delivered(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


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
    if endpoint.scheme == "standard-webhooks":
        stamp = str(int(now))
        digest = _digest(_standard_key(endpoint.secret), f"{delivery_id}.{stamp}.".encode() + body)
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
    return {endpoint.header: _signature(endpoint, body, int(now))}


def _signature(endpoint: WebhookEndpoint, body: bytes, stamp: int) -> str:
    key = endpoint.secret.encode()
    if endpoint.scheme == "timestamped":
        return f"t={stamp},v1={_digest(key, f'{stamp}.'.encode() + body).hex()}"
    digest = _digest(key, body)
    if endpoint.scheme == "base64":
        return base64.b64encode(digest).decode()
    return f"sha256={digest.hex()}" if endpoint.scheme == "sha256" else digest.hex()


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _standard_key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
