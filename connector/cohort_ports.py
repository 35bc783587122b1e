"""What the cohort webhook and its lane see of the book (beside `connector.context`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from connector.domain.launches.cohort_message import CohortMessage
from connector.domain.launches.eligibility import Choice
from connector.domain.launches.launch import LaunchOptions
from connector.domain.lease import Lease
from connector.domain.people.same_person import KeyedMember, Member


class CohortMessages(Protocol):
    """Messages of Amplitude's cohort webhook. Every method raises `StoreUnavailable`.

    Those that take a lease raise `Conflict` when it was lost.
    """

    async def accept(self, message: CohortMessage, pieces: Sequence[str]) -> bool:
        """Store a message with its people (`cohort_message.piece_text`).

        False when the connection has one of its message id.
        """
        ...

    async def latest(self, connection: str) -> int | None:
        """Return when the last message of a connection came (ms); None when none is kept."""
        ...

    async def next_open(self, connections: Sequence[str]) -> CohortMessage | None:
        """Return the message that was begun, else the one whose cohort was computed first."""
        ...

    async def piece(self, message: CohortMessage) -> tuple[int, list[Member]] | None:
        """Return the next of a message's people, with their place; None after the last."""
        ...

    async def overtaken(self, message: CohortMessage, keyed: Sequence[KeyedMember]) -> set[int]:
        """Return the keys of people of whom a later computed message told already."""
        ...

    async def invite(
        self,
        lease: Lease,
        message: CohortMessage,
        position: int,
        choices: Sequence[Choice],
        learn: Sequence[Choice],
        options: LaunchOptions,
        now: int,
    ) -> None:
        """Plan a piece's people into the cohort's standing launch, and let go of the piece."""
        ...

    async def dismiss(
        self, lease: Lease, message: CohortMessage, position: int, keyed: Sequence[KeyedMember], now: int
    ) -> None:
        """Call off those of a piece whose start is not sent, and let go of the piece."""
        ...

    async def decided(self, lease: Lease, message: CohortMessage, approve_above: int, now: int) -> None:
        """End the decisions over a message: its people may wait for a start, or for approval."""
        ...

    async def activate(self, lease: Lease, message: CohortMessage, now: int, limit: int) -> bool:
        """Look once more at up to `limit` planned people; return whether there may be more."""
        ...


__all__ = ["CohortMessages"]
