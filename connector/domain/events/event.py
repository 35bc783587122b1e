"""What others are told of: events, who asked for them, and what became of each delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from connector.domain.lease import Lease


class EventType(StrEnum):
    """What may happen that others want to hear of."""

    INTERVIEW_SYNCED = "interview_synced"
    INTERVIEW_SKIPPED = "interview_skipped"
    SYNC_FAILED = "sync_failed"
    INVITATION_CREATED = "invitation_created"
    LAUNCH_FINISHED = "launch_finished"
    LAUNCH_PAUSED = "launch_paused"


class Event(NamedTuple):
    """Something that happened. `subject` is the id of the interview, invitation or launch that it is about.

    `told` is what was true of it then and names nobody; the rest is looked up when it is shown.
    """

    number: int
    id: str
    type: EventType
    connection: str
    at: int
    subject: str
    told: Mapping[str, Any]


class Hook(NamedTuple):
    """A subscription: one address that is told of one type of event of one connection."""

    id: str
    connection: str
    event: EventType
    target_url: str
    created_at: int


class HookDelivery(NamedTuple):
    """One event on its way to one hook. `state`: waiting, delivered or failed; `outcome`: the last."""

    number: int
    hook_id: str
    event: Event
    state: str
    tries: int
    outcome: str | None
    updated_at: int


class DeliveryOutcome(NamedTuple):
    """What became of a try: `due` (ms) is when it is tried again, None when it has ended."""

    number: int
    state: str
    outcome: str
    due: int | None


class Hooks(Protocol):
    """Subscriptions and events. Every method raises `StoreUnavailable`."""

    async def subscribe(self, hook: Hook, secret: str) -> tuple[Hook, str]:
        """Store a subscription; the same target, event and connection again is the one that is there."""
        ...

    async def listed(self, connections: Sequence[str], target_url: str | None) -> list[Hook]:
        """Return subscriptions of connections, oldest first, all or those of a target."""
        ...

    async def unsubscribe(
        self, connections: Sequence[str], *, hook_id: str | None, target_url: str | None
    ) -> int:
        """Delete subscriptions of connections by id or by target; return how many."""
        ...

    async def events(self, connections: Sequence[str], kind: EventType, limit: int) -> list[Event]:
        """Return the newest events of a type, newest first."""
        ...

    async def due(self, now: int) -> list[tuple[Hook, str]]:
        """Return the subscriptions to which something is due, with their secrets."""
        ...

    async def next_due(self) -> int | None:
        """Return when the next delivery is due (ms)."""
        ...

    async def due_for(self, hook_id: str, now: int, limit: int) -> list[HookDelivery]:
        """Return what is due to one subscription, in the order in which it happened."""
        ...

    async def settle(self, lease: Lease, settled: Sequence[DeliveryOutcome], now: int) -> None:
        """Store what became of tries."""
        ...

    async def deliveries(self, connections: Sequence[str], hook_id: str, limit: int) -> list[HookDelivery]:
        """Return the newest deliveries of a subscription, newest first."""
        ...

    async def replay(self, connections: Sequence[str], hook_id: str, now: int) -> int:
        """Let failed deliveries of a subscription be tried again; return how many."""
        ...
