"""Hold Amplitude's data: users with their present properties, events with the properties of their arrival."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from connector.sandbox.amplitude.properties import Properties, apply_user_properties
from connector.sandbox.amplitude.rules import MAX_STRING

DEDUP_SECONDS: Final = 7 * 24 * 3600
GROUP_IDENTIFY: Final = "$groupidentify"
_NO_PROPERTIES: Final[Properties] = {}


@dataclass(slots=True)
class User:
    """One Amplitude user. `properties` is replaced, never changed, when an update arrives."""

    amplitude_id: int
    user_id: str | None
    properties: Properties = field(default_factory=dict)
    device_ids: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as Amplitude keeps it: `user_properties` are those as of its arrival, `time` is in ms."""

    user: User
    event_type: str
    device_id: str
    time: int
    received_at: int
    user_properties: Properties
    body: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the sent fields with what the stand-in added."""
        return {
            **self.body,
            "user_id": self.user.user_id,
            "device_id": self.device_id,
            "amplitude_id": self.user.amplitude_id,
            "time": self.time,
            "server_upload_time": self.received_at,
            "user_properties": dict(self.user_properties),
        }


def derived_device_id(user_id: str) -> str:
    """Return the device id of an event without one (Amplitude HTTP V2: a hash of the user id)."""
    return hashlib.blake2b(user_id.encode(), digest_size=16).hexdigest() + "R"


class AmplitudeStore:
    """Users, events and the insert ids seen, in order of arrival. Times in seconds unless named otherwise."""

    def __init__(self, *, keep_events: bool) -> None:
        self.keep_events = keep_events
        self.reset()

    def reset(self) -> None:
        """Forget all data."""
        self.events: list[StoredEvent] = []
        self.counts: Counter[str] = Counter()
        self.users: dict[str, User] = {}
        self.devices: dict[str, User] = {}
        self.duplicates = 0
        self._seen: dict[str, float] = {}
        self._last_amplitude_id = 100_000

    def user(self, user_id: str) -> User:
        """Return the user of that id, made when new."""
        user = self.users.get(user_id)
        if user is None:
            user = self.users[user_id] = self._new_user(user_id)
        return user

    def accept(self, events: Sequence[Mapping[str, Any]], now: float) -> None:
        """Take in checked events one after the other."""
        for event in events:
            self._accept(event, now)

    def _accept(self, event: Mapping[str, Any], now: float) -> None:
        event_type: str = event["event_type"]
        user_id, device_id = event.get("user_id"), event.get("device_id")
        if user_id and len(user_id) > MAX_STRING:
            user_id = user_id[:MAX_STRING]
        effective_device = device_id[:MAX_STRING] if device_id else derived_device_id(user_id or "")
        insert_id = event.get("insert_id")
        if insert_id and self._is_duplicate(f"{effective_device}\0{insert_id[:MAX_STRING]}", now):
            self.duplicates += 1
            return
        user = self._resolve(user_id, effective_device if device_id else None)
        self.counts[event_type] += 1
        as_of = self._as_of(event, user)
        if self.keep_events:
            now_ms, time = int(now * 1000), event.get("time")
            sent_at = now_ms if time is None else time
            self.events.append(StoredEvent(user, event_type, effective_device, sent_at, now_ms, as_of, event))

    def _is_duplicate(self, key: str, now: float) -> bool:
        until = self._seen.get(key)
        if until is not None and now < until:
            return True
        self._seen[key] = now + DEDUP_SECONDS
        return False

    def _as_of(self, event: Mapping[str, Any], user: User) -> Properties:
        """Update the user table and return what this event is stamped with."""
        change = event.get("user_properties") or _NO_PROPERTIES
        if event["event_type"] == GROUP_IDENTIFY:
            return user.properties
        if event.get("$skip_user_properties_sync"):
            return apply_user_properties(_NO_PROPERTIES, change)
        if change:
            user.properties = apply_user_properties(user.properties, change)
        return user.properties

    def _resolve(self, user_id: str | None, device_id: str | None) -> User:
        """Return the user of an event; a device without a user id belongs to the last user seen on it."""
        if device_id is None:
            return self.user(user_id or "")
        owner = self.devices.get(device_id)
        if not user_id:
            if owner is None:
                owner = self.devices[device_id] = self._new_user(None)
                owner.device_ids.add(device_id)
            return owner
        if owner is not None and owner.user_id == user_id:
            return owner
        if owner is not None and owner.user_id is None and user_id not in self.users:
            owner.user_id = user_id
            self.users[user_id] = owner
            return owner
        user = self.user(user_id)
        if owner is not None and owner.user_id is None:
            user.properties = {**owner.properties, **user.properties}
        user.device_ids.add(device_id)
        self.devices[device_id] = user
        return user

    def _new_user(self, user_id: str | None) -> User:
        self._last_amplitude_id += 1
        return User(self._last_amplitude_id, user_id)

    def find(self, *, event_type: str | None = None, user_id: str | None = None) -> list[StoredEvent]:
        """List stored events in order of arrival; of one type, and of one user, where these are set."""
        return [
            event
            for event in self.events
            if (event_type is None or event.event_type == event_type)
            and (user_id is None or event.user.user_id == user_id)
        ]
