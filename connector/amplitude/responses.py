"""Classify the responses of Amplitude's HTTP V2 API: accepted, refused, to be sent later, or unknown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from connector.net.retry_after import retry_after_seconds
from connector.text.json import json_object

THROTTLE_SECONDS: Final = 30  # Amplitude HTTP V2: hold a throttled user's events for 30 seconds
DAILY_QUOTA_SECONDS: Final = 3600  # the 24 h window moves in steps of one hour
_EVENT_KEYS: Final = frozenset({"event_type", "user_id", "device_id"})

# Amplitude's own words and field names may be shown; keys, ids and addresses may not.
_LONGEST_WORDS: Final = 150
_MOST_NAMES: Final = 5
_WORD: Final = re.compile(r"[(']?[A-Za-z]+(?:[_'-][A-Za-z]+)*[.,;)']*")
_LONGEST_WORD: Final = 24
_FIELD: Final = re.compile(r"\$?[A-Za-z][A-Za-z_.]{0,39}")

_REDIRECT = "Amplitude's address redirects: AMPLITUDE_INGESTION_URL must be the final address"
_FOREIGN_200 = "the answer is not Amplitude's: look at AMPLITUDE_INGESTION_URL and any proxy in between"


class Kind(StrEnum):
    """What a response means for its request."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # the named events are bad; nothing was ingested, the others may go again at once
    REFUSED = "refused"  # something in it is bad, and the response does not say what
    TOO_LARGE = "too_large"
    THROTTLED = "throttled"  # nothing was ingested; what is not held may go again at once
    PAUSED = "paused"  # the key, the address or the shape of every request is wrong
    UNAVAILABLE = "unavailable"  # surely not ingested
    UNKNOWN = "unknown"  # ingested or not


@dataclass(frozen=True, slots=True)
class Answer:
    """One response of the ingestion API.

    `rejected` maps an event's index to why; `held` maps it to the seconds that it must wait. `status` is None
    when none came. `message` is for people: at most 250 characters, without keys, ids and addresses.
    """

    kind: Kind
    status: int | None
    message: str
    rejected: Mapping[int, str] = field(default_factory=dict)
    held: Mapping[int, int] = field(default_factory=dict)
    events_ingested: int | None = None
    retry_after: int | None = None


def classify(status: int, body: bytes, headers: Mapping[str, str], user_ids: Sequence[str]) -> Answer:
    """Return what an HTTP response means. `user_ids` are those of the events sent, in their order.

    Amplitude HTTP V2: on 400, 403, 413, 429 and 503 nothing of the request is ingested; after 500, 502 and
    504 it may have been. An error code inside a 200 counts as that error.
    """
    reply = json_object(body) or {}
    code = _code(status, reply)
    said = _safe_message(reply.get("error"), user_ids)
    retry_after = retry_after_seconds(headers)
    if 200 <= code < 300:
        if reply.get("code") != 200:
            return Answer(Kind.UNKNOWN, status, _FOREIGN_200)
        return Answer(Kind.ACCEPTED, status, said, events_ingested=_count(reply.get("events_ingested")))
    said = said or f"Amplitude answered {code}"
    if code == 408 or not 300 <= code < 500:
        kind = Kind.UNAVAILABLE if code == 503 else Kind.UNKNOWN
        return Answer(kind, status, said, retry_after=retry_after)
    if _stops_everything(code, reply):
        return Answer(Kind.PAUSED, status, _pause_message(code, reply, said, user_ids))
    if code == 413:
        return Answer(Kind.TOO_LARGE, status, said)
    return replace(_refusal(code, status, reply, said, user_ids), retry_after=retry_after)


def _refusal(code: int, status: int, reply: Mapping[str, Any], said: str, user_ids: Sequence[str]) -> Answer:
    rejected = _rejected(reply, said, user_ids)
    held = {index: wait for index, wait in _held(reply, user_ids).items() if index not in rejected}
    if code == 429 or (held and not rejected):
        kind = Kind.THROTTLED
    else:
        kind = Kind.REJECTED if rejected else Kind.REFUSED
    message = _with_names(said, (name for name, _ in _named_events(reply)), user_ids)
    return Answer(kind, status, message[:250], rejected, held)


def _stops_everything(code: int, reply: Mapping[str, Any]) -> bool:
    """Tell whether every other request would be refused for the same reason."""
    if code not in (400, 403, 413, 429) or _says(reply, "invalid api key", "invalid request path"):
        return True
    missing = reply.get("missing_field")
    if not isinstance(missing, str) or not missing or missing in _EVENT_KEYS:
        return False
    return all(name != missing for name, _ in _named_events(reply))


def _pause_message(code: int, reply: Mapping[str, Any], said: str, user_ids: Sequence[str]) -> str:
    if 300 <= code < 400:
        return _REDIRECT
    if _says(reply, "invalid api key"):
        return "Invalid API key: look at AMPLITUDE_API_KEY and AMPLITUDE_REGION"
    missing = reply.get("missing_field")
    named = _with_names(said, [missing] if isinstance(missing, str) else [], user_ids)
    return named if named != said else f"{said}: look at AMPLITUDE_API_KEY and AMPLITUDE_INGESTION_URL"


def _rejected(reply: Mapping[str, Any], said: str, user_ids: Sequence[str]) -> dict[int, str]:
    """Return every event that the response names as bad. Amplitude may name only the first one per field."""
    rejected: dict[int, str] = {}
    for name, indexes in _named_events(reply):
        message = _with_names(said, [name], user_ids)
        for index in _indexes(indexes, len(user_ids)):
            rejected.setdefault(index, message)
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


def _code(status: int, reply: Mapping[str, Any]) -> int:
    inner = reply.get("code")
    return inner if 200 <= status < 300 and type(inner) is int and inner >= 400 else status


def _says(reply: Mapping[str, Any], *starts: str) -> bool:
    error = reply.get("error")
    return isinstance(error, str) and error.strip().lower().startswith(starts)


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _safe_message(text: Any, user_ids: Sequence[str]) -> str:
    """Return an error text up to its first colon, without quoted parts, ids and anything not a plain word.

    Amplitude HTTP V2 appends the key to "Invalid API key:", and may quote a value that it refuses.
    """
    if not isinstance(text, str):
        return ""
    start = re.sub(r"\"[^\"]*\"?|`[^`]*`?", " ", text[:1000]).partition(":")[0]
    for user_id in {user_id for user_id in user_ids if user_id and user_id in start}:
        start = re.sub(rf"(?<!\w){re.escape(user_id)}(?!\w)", " ", start)
    words = [word for word in start.split() if len(word) <= _LONGEST_WORD and _WORD.fullmatch(word)]
    return " ".join(words)[:_LONGEST_WORDS]


def _with_names(said: str, names: Iterable[str], user_ids: Sequence[str]) -> str:
    """Add the names that look like fields to a message, in order and without repeats; at most five."""
    fields = dict.fromkeys(name for name in names if _FIELD.fullmatch(name) and name not in user_ids)
    return f"{said}: {', '.join(list(fields)[:_MOST_NAMES])}" if fields else said
