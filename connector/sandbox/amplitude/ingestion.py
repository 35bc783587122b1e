"""A strict stand-in of Amplitude's ingestion, `/2/httpapi`.

Strict where the documents leave room: a request is refused whole, one kind of fault is reported at a time,
gzip is refused, and numbers as ids are invalid.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from connector.sandbox.amplitude.cohorts import Cohorts
from connector.sandbox.amplitude.rules import DEFAULT_MIN_ID_LENGTH, cut_events, refusal, request_refusal
from connector.sandbox.amplitude.store import AmplitudeStore, derived_device_id
from connector.sandbox.bodies import Strict, Texts
from connector.sandbox.faults import Fault, FaultQueue
from connector.sandbox.limits import IDENTITY_FIELDS, CallWindow, IdentityThrottle, by_value, throttle_refusal
from connector.sandbox.options import LOG_SIZE, SandboxOptions

MAX_BYTES: Final = 1024 * 1024
MAX_EVENTS: Final = 2000
THROTTLED_RATE: Final = 31
DAILY_EVENTS: Final = 500_001


class Rules(Strict):
    """The project's own rules; `throttle_events_per_second` is the limit per user and device, None is none.

    Requests with events of silenced users and devices, and of ids that are throttled or over their daily
    quota, are refused and name them. Events of blocked types are dropped.
    """

    blocked_event_types: Texts[str] = frozenset()
    silenced_devices: Texts[str] = frozenset()
    silenced_users: Texts[str] = frozenset()
    throttled_ids: Texts[str] = frozenset()
    over_daily_quota: Texts[str] = frozenset()
    throttle_events_per_second: float | None = None


class RequestRefusedError(Exception):
    """A request whose events are not looked at; `body` is the answer."""

    def __init__(self, status: int, error: str, **more: Any) -> None:
        super().__init__(error)
        self.body = refusal(status, error, **more)


class AmplitudeProject:
    """One Amplitude project. `now` gives seconds since the epoch."""

    def __init__(self, options: SandboxOptions, now: Callable[[], float]) -> None:
        self.options = options
        self.now = now
        self.store = AmplitudeStore(keep_events=options.store_events)
        self.faults = FaultQueue()
        self.requests: deque[dict[str, Any]] = deque(maxlen=LOG_SIZE)
        self.cohorts = Cohorts(options, now, self.store)
        self.searches = CallWindow(options.user_searches_per_hour, 3600, now)
        self.reset()

    def reset(self) -> None:
        """Forget data, faults, rules, cohorts and logs."""
        self.store.reset()
        self.faults.clear()
        self.requests.clear()
        self.cohorts.reset()
        self.searches.reset()
        self.requests_total = 0
        self.events_received = 0
        self.blocked = 0
        self.rules = Rules(throttle_events_per_second=self.options.throttle_events_per_second)
        self._throttle = IdentityThrottle(self.options.throttle_window_seconds)

    def ingest(self, raw: bytes) -> tuple[dict[str, Any], int]:
        """Answer one ingestion request: return the body, whose `code` is the status, and the count of events.

        The code is 200 only when every event was taken in; otherwise none was.
        """
        events: list[dict[str, Any]] = []
        try:
            request = self._parsed(raw)
            events = request["events"]
            if len(events) > MAX_EVENTS:
                raise RequestRefusedError(413, "Payload too large")
        except RequestRefusedError as refused:
            return refused.body, len(events)
        return self._ingest_events(request.get("options"), events, len(raw)), len(events)

    def _parsed(self, raw: bytes) -> dict[str, Any]:
        """Return a request with the right key and a list of events. Raises RequestRefusedError."""
        if len(raw) > MAX_BYTES:
            raise RequestRefusedError(413, "Payload too large")
        if not raw:
            raise RequestRefusedError(400, "Missing request body")
        try:
            request = json.loads(raw)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            raise RequestRefusedError(400, "Invalid JSON request body")
        for field in ("api_key", "events"):
            if not request.get(field):
                raise RequestRefusedError(400, "Request missing required field", missing_field=field)
        if request["api_key"] != self.options.amplitude_api_key:
            raise RequestRefusedError(400, "Invalid API key")
        events = request["events"]
        if not isinstance(events, list) or not all(type(event) is dict for event in events):
            raise RequestRefusedError(400, "Invalid event JSON")
        return request

    def _ingest_events(self, options: Any, events: list[dict[str, Any]], size: int) -> dict[str, Any]:
        now = self.now()
        refused = (
            request_refusal(events, min_id_length(options))
            or cut_events(events)
            or self._silenced(events)
            or self._named_throttle(events)
            or self._throttle.refusal(events, self.rules.throttle_events_per_second, now)
        )
        if refused is not None:
            return refused
        self.accept(events)
        return {
            "code": 200,
            "events_ingested": len(events),
            "payload_size_bytes": size,
            "server_upload_time": int(now * 1000),
        }

    def accept(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Store checked events, without those of a blocked type."""
        kept = [event for event in events if event["event_type"] not in self.rules.blocked_event_types]
        self.blocked += len(events) - len(kept)
        self.store.accept(kept, self.now())

    def _silenced(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return the 400 body for events of devices that were set to be silenced."""
        refused = self.rules.silenced_devices | set(map(derived_device_id, self.rules.silenced_users))
        if not refused:
            return None
        devices = [event.get("device_id") or derived_device_id(event["user_id"]) for event in events]
        silenced = {index: device for index, device in enumerate(devices) if device in refused}
        if not silenced:
            return None
        return {
            "code": 400,
            "error": "Events silenced for device_id",
            "eps_threshold": 100,
            "exceeded_daily_quota_devices": {},
            "silenced_devices": sorted(set(silenced.values())),
            "silenced_events": list(silenced),
            "throttled_devices": {},
            "throttled_events": [],
        }

    def _named_throttle(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return the 429 body for events of ids that were set to be throttled or over their daily quota."""
        over_quota = self.rules.over_daily_quota
        refused = self.rules.throttled_ids | over_quota
        if not refused:
            return None
        rates = {
            (field, event[field]): THROTTLED_RATE
            for event in events
            for field in IDENTITY_FIELDS
            if event.get(field) in refused
        }
        if not rates:
            return None
        body = throttle_refusal(events, rates, 30)
        if spent := {identity: DAILY_EVENTS for identity in rates if identity[1] in over_quota}:
            body["exceeded_daily_quota_users"] = by_value(spent, "user_id")
            body["exceeded_daily_quota_devices"] = by_value(spent, "device_id")
        return body

    def log(self, size: int, events: int, status: int | None, error: str | None, fault: Fault | None) -> None:
        """Remember one ingestion request; `status` is None when the connection was cut."""
        self.requests_total += 1
        self.events_received += events
        self.requests.append(
            {
                "received_at": self.now(),
                "route": "httpapi",
                "bytes": size,
                "events": events,
                "status": status,
                "error": error,
                "fault": fault.kind if fault else None,
            }
        )

    def search(self, text: str) -> dict[str, Any]:
        """Find users as `GET /api/2/usersearch` does: user id prefix, exact device id or Amplitude id."""
        matches = [
            {"user_id": user.user_id, "amplitude_id": user.amplitude_id}
            for user_id, user in self.store.users.items()
            if user_id.startswith(text) or str(user.amplitude_id) == text
        ]
        device = self.store.devices.get(text)
        if device is not None and not matches:
            matches = [{"user_id": device.user_id, "amplitude_id": device.amplitude_id}]
        return {"matches": matches, "type": "match_user_or_device_id" if matches else "nomatch"}


def min_id_length(options: Any) -> int:
    """Return the shortest id that a request allows (`options.min_id_length`, or else 5)."""
    value = options.get("min_id_length") if isinstance(options, dict) else None
    return value if type(value) is int and value > 0 else DEFAULT_MIN_ID_LENGTH
