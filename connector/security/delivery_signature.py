"""Sign deliveries as Standard Webhooks asks."""

from __future__ import annotations

import secrets
from base64 import b64encode
from datetime import UTC, datetime

from standardwebhooks import Webhook


def new_secret() -> str:
    """Return a signing secret that cannot be guessed (Standard Webhooks: 24 to 64 random bytes, base64)."""
    return f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"


def signed(secret: str, event_id: str, body: bytes, now: int) -> dict[str, str]:
    """Return the headers of a delivery; `now` in ms. A retry carries the same id."""
    at = datetime.fromtimestamp(now // 1_000, UTC)
    return {
        "Content-Type": "application/json",
        "User-Agent": "koji-amplitude",
        "webhook-id": event_id,
        "webhook-timestamp": str(now // 1_000),
        "webhook-signature": Webhook(secret).sign(msg_id=event_id, timestamp=at, data=body.decode()),
    }
