"""The options of a sandbox. The keys are plainly fake; nothing here is a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from connector.sandbox.bodies import Strict, Texts

Permission = Literal["interview:start", "interview:chat", "interview:complete", "interview:read"]
PERMISSIONS: Final[frozenset[Permission]] = frozenset(get_args(Permission))
WebhookEvent = Literal["interview.completed", "interview.analysis_ready", "interview.failed_quality_gate"]

FAKE_AMPLITUDE_KEY: Final = "sandbox-amplitude-key"
FAKE_AMPLITUDE_REST_KEY: Final = "sandbox-amplitude-secret"
FAKE_KOJI_KEY: Final = "sandbox-koji-key"
FAKE_SIGNING_KEY: Final = "sandbox-webhook-secret"

LOG_SIZE: Final = 10_000  # the newest requests and webhooks that are kept

Scheme = Literal["hex", "sha256", "base64", "timestamped", "standard-webhooks"]
Envelope = Literal["top", "data"]
Payload = Literal["full", "thin"]


class WebhookEndpoint(Strict):
    """The address and the form of the webhooks that Koji's stand-in sends.

    `envelope`: fields at the top level beside `event`, or nested under `data` beside `type`. `payload`:
    `thin` carries the interview id alone, so that a receiver must read the other fields. `event_header` adds
    the event's name as a header. A failed webhook is sent again `retries` times, first after
    `backoff_seconds`, then after twice as long each time.
    """

    url: str
    secret: str = FAKE_SIGNING_KEY
    scheme: Scheme = "hex"
    header: str = "X-Koji-Signature"
    envelope: Envelope = "top"
    payload: Payload = "full"
    event_header: str | None = None
    events: Texts[WebhookEvent] = frozenset(get_args(WebhookEvent))
    retries: int = 3
    backoff_seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """The behaviour of the two stand-ins. Most options can also be changed through `/control` while they run.

    `throttle_events_per_second` is Amplitude's limit per user and device on /2/httpapi, averaged over
    `throttle_window_seconds`; None switches it off, as load tests need. `store_events=False` keeps counters,
    user properties and deduplication but no event bodies. `koji_rate_limit_per_minute=None` switches Koji's
    limit off. `latency_seconds` delays every answer of both services.
    """

    amplitude_api_key: str = FAKE_AMPLITUDE_KEY
    amplitude_secret_key: str = FAKE_AMPLITUDE_REST_KEY
    throttle_events_per_second: float | None = 30.0
    throttle_window_seconds: float = 10.0
    store_events: bool = True
    cohort_job_seconds: float = 0.2
    cohort_redirect: bool = False
    cohort_downloads_per_month: int = 500
    cohort_downloads_per_ten_minutes: int = 60
    user_searches_per_hour: int = 360

    koji_api_key: str = FAKE_KOJI_KEY
    koji_permissions: frozenset[Permission] = PERMISSIONS
    koji_project_id: str = "sandbox-project"
    koji_rate_limit_per_minute: int | None = 60
    analysis_seconds: float = 0.2
    webhook: WebhookEndpoint | None = None

    seed: int = 7
    latency_seconds: float = 0.0
