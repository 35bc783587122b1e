"""The ways in which a webhook may be signed. Koji publishes none, so the stand-in can do each."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from connector.sandbox.options import WebhookEndpoint


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
