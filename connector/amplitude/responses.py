"""Read what Amplitude's HTTP V2 API answered: what was refused, what must wait, what nobody knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from connector.amplitude.words import field_names, safe_words
from connector.net.retry_after import retry_after_seconds

THROTTLE_SECONDS: Final = 30  # Amplitude HTTP V2: hold a throttled user's events for 30 seconds
DAILY_QUOTA_SECONDS: Final = 3600  # the 24 h window moves in steps of one hour
_EVENT_KEYS: Final = frozenset({"event_type", "user_id", "device_id"})

_REDIRECT = "Amplitude's address redirects: AMPLITUDE_INGESTION_URL must be the final address"
_FOREIGN_200 = "the answer is not Amplitude's: look at AMPLITUDE_INGESTION_URL and any proxy in between"


class Kind(StrEnum):
    """What an answer means for the request that it answers."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # the named events are bad; nothing was ingested, the others may go again at once
    REFUSED = "refused"  # something in it is bad and nobody says what
    TOO_LARGE = "too_large"
    THROTTLED = "throttled"  # nothing was ingested; what is not held may go again at once
    PAUSED = "paused"  # the key, the address or the shape of every request is wrong
    UNAVAILABLE = "unavailable"  # surely not ingested
    UNKNOWN = "unknown"  # ingested or not


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the ingestion API.

    `rejected` maps an event's index to why; `held` maps it to the seconds that it must wait. `status` is None
    when no answer came. `words` are for people: at most 250 characters, no key, id or address of anybody.
    """

    kind: Kind
    status: int | None
    words: str
    rejected: Mapping[int, str] = field(default_factory=dict)
    held: Mapping[int, int] = field(default_factory=dict)
    events_ingested: int | None = None
    retry_after: int | None = None

    @property
    def certain(self) -> bool:
        """Whether Amplitude surely ingested nothing of the request."""
        return self.kind not in (Kind.ACCEPTED, Kind.UNKNOWN)


def classify(status: int, body: bytes, headers: Mapping[str, str], user_ids: Sequence[str]) -> Answer:
    """Say what an HTTP answer means. `user_ids` are those of the events sent, in their order.

    Amplitude HTTP V2: on 400, 403, 413, 429 and 503 nothing of the request is ingested; after 500, 502 and
    504 it may have been. An error code inside a 200 counts as that error.
    """
    reply = _json_object(body)
    code = _code(status, reply)
    said = safe_words(reply.get("error"), user_ids)
    retry_after = retry_after_seconds(headers)
    if 200 <= code < 300:
        if reply.get("code") != 200:
            return Answer(Kind.UNKNOWN, status, _FOREIGN_200)
        return Answer(Kind.ACCEPTED, status, said, events_ingested=_count(reply.get("events_ingested")))
    if 300 <= code < 400:
        return Answer(Kind.PAUSED, status, _REDIRECT)
    if code == 408 or not 400 <= code < 500:
        kind = Kind.UNAVAILABLE if code == 503 else Kind.UNKNOWN
        return Answer(kind, status, said or f"Amplitude answered {code}", retry_after=retry_after)
    if _stops_everything(code, reply):
        return Answer(Kind.PAUSED, status, _pause_words(code, reply, said, user_ids))
    return _refusal(
        code,
        reply,
        user_ids,
        status=status,
        said=said or f"Amplitude answered {code}",
        retry_after=retry_after,
    )


def _refusal(
    code: int,
    reply: Mapping[str, Any],
    user_ids: Sequence[str],
    *,
    status: int,
    said: str,
    retry_after: int | None,
) -> Answer:
    if code == 413:
        return Answer(Kind.TOO_LARGE, status, said)
    rejected = _rejected(reply, said, user_ids)
    held = {index: wait for index, wait in _held(reply, user_ids).items() if index not in rejected}
    if code == 429 or (held and not rejected):
        kind = Kind.THROTTLED
    elif rejected:
        kind = Kind.REJECTED
    else:
        kind = Kind.REFUSED
    named = field_names((name for name, _ in _named_events(reply)), user_ids)
    words = f"{said}: {named}" if named else said
    return Answer(kind, status, words[:250], rejected, held, retry_after=retry_after)


def _stops_everything(code: int, reply: Mapping[str, Any]) -> bool:
    """Whether every other request would be refused for the same reason."""
    if (
        code not in (400, 403, 413, 429)
        or _says(reply, "invalid api key")
        or _says(reply, "invalid request path")
    ):
        return True
    missing = reply.get("missing_field")
    if not isinstance(missing, str) or not missing or missing in _EVENT_KEYS:
        return False
    return all(name != missing for name, _ in _named_events(reply))


def _pause_words(code: int, reply: Mapping[str, Any], said: str, user_ids: Sequence[str]) -> str:
    if _says(reply, "invalid api key"):
        return "Invalid API key: look at AMPLITUDE_API_KEY and AMPLITUDE_REGION"
    said = said or f"Amplitude answered {code}"
    missing = reply.get("missing_field")
    named = field_names([missing], user_ids) if isinstance(missing, str) else ""
    return f"{said}: {named}" if named else f"{said}: look at AMPLITUDE_API_KEY and AMPLITUDE_INGESTION_URL"


def _rejected(reply: Mapping[str, Any], said: str, user_ids: Sequence[str]) -> dict[int, str]:
    """Return every event that the answer names as bad. Amplitude may name only the first one per field."""
    rejected: dict[int, str] = {}
    for name, indexes in _named_events(reply):
        shown = field_names([name], user_ids)
        for index in _indexes(indexes, len(user_ids)):
            rejected.setdefault(index, f"{said}: {shown}" if shown else said)
    for index in _indexes(reply.get("silenced_events"), len(user_ids)):
        rejected.setdefault(index, said)
    missing = reply.get("missing_field")
    if not rejected and len(user_ids) == 1 and isinstance(missing, str) and missing in _EVENT_KEYS:
        rejected[0] = f"{said}: {missing}"
    return rejected


def _held(reply: Mapping[str, Any], user_ids: Sequence[str]) -> dict[int, int]:
    held = dict.fromkeys(_indexes(reply.get("throttled_events"), len(user_ids)), THROTTLE_SECONDS)
    waits = (("throttled_users", THROTTLE_SECONDS), ("exceeded_daily_quota_users", DAILY_QUOTA_SECONDS))
    for key, seconds in waits:
        users = reply.get(key)
        if isinstance(users, dict | list) and users:
            held.update((index, seconds) for index, user in enumerate(user_ids) if user in users)
    return held


def _named_events(reply: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield field and indexes of every `events_with_…` map: Amplitude has more of them than it documents."""
    for key, fields in reply.items():
        if key.startswith("events_with_"):
            if isinstance(fields, dict):
                yield from ((name, indexes) for name, indexes in fields.items() if indexes)
            elif fields:
                yield "", fields


def _indexes(value: Any, size: int) -> Iterator[int]:
    """Yield the whole numbers in a list that are indexes of events we sent."""
    if isinstance(value, list):
        yield from (item for item in value if type(item) is int and 0 <= item < size)


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _code(status: int, reply: Mapping[str, Any]) -> int:
    inner = reply.get("code")
    return inner if 200 <= status < 300 and type(inner) is int and inner >= 400 else status


def _says(reply: Mapping[str, Any], start: str) -> bool:
    error = reply.get("error")
    return isinstance(error, str) and error.strip().lower().startswith(start)


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
