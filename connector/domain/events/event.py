"""Events, the hooks that subscribe to them, and their deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple


class EventType(StrEnum):
    """The types of events to which a hook may subscribe."""

    INTERVIEW_SYNCED = "interview_synced"
    INTERVIEW_SKIPPED = "interview_skipped"
    SYNC_FAILED = "sync_failed"
    INVITATION_CREATED = "invitation_created"
    LAUNCH_FINISHED = "launch_finished"
    LAUNCH_PAUSED = "launch_paused"
    PERSON_OPTED_OUT = "person_opted_out"
    CONNECTION_PAUSED = "connection_paused"
    CONNECTION_RESUMED = "connection_resumed"


class Event(NamedTuple):
    """An event at `at` (ms). `subject` is the id of what it is about, or the upstream of a connection.

    `payload` holds the facts of that moment, without personal data; the rest is looked up when it is shown.
    """

    number: int  # in the order in which events were stored
    id: str
    type: EventType
    connection: str
    at: int
    subject: str
    payload: Mapping[str, Any]


class Hook(NamedTuple):
    """A subscription: one URL gets one type of event of one connection. `created_at` is in ms.

    `token` names the token that made it; None for one from before that was stored.
    """

    id: str
    connection: str
    event: EventType
    target_url: str
    created_at: int
    token: str | None = None


class HookDelivery(NamedTuple):
    """One event on its way to one hook. `outcome` is the HTTP status or the error of the latest attempt."""

    number: int
    hook_id: str
    event: Event
    state: str  # waiting, delivered or failed
    tries: int
    outcome: str | None
    updated_at: int


class DeliveryOutcome(NamedTuple):
    """The outcome of an attempt: `due` (ms) is when the next follows, or None if the delivery has ended."""

    state: str  # as in `HookDelivery`, or gone if the target answered 410
    outcome: str
    due: int | None = None
