"""Messages of the cohort webhook as the rest of the connector sees them (`cohort_ports`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Connection

from connector.domain.launches.cohort_message import CohortMessage
from connector.domain.launches.eligibility import Choice, SkipReason
from connector.domain.launches.launch import LaunchOptions
from connector.domain.lease import Lease
from connector.domain.people.same_person import KeyedMember, Member
from connector.ledger.access.secrets import keyed_hash
from connector.ledger.db.repository import Store, Work
from connector.ledger.launches import cohort_inbox, cohort_members
from connector.ledger.runtime import leases

T = TypeVar("T")


class CohortBook:
    """`cohort_ports.CohortMessages` on the book's tables."""

    def __init__(self, store: Store, tombstone_key: bytes) -> None:
        self._store = store
        self._key = tombstone_key

    async def accept(self, message: CohortMessage, pieces: Sequence[str]) -> bool:
        """Store a message with its people."""
        # hashed, because it outlives the people, who may be in a body that it is the digest of
        message = message._replace(message_id=keyed_hash(self._key, message.message_id))
        return await self._store.write(lambda c: cohort_inbox.accept(c, message, pieces))

    async def latest(self, connection: str) -> int | None:
        """Return when the last message of a connection came."""
        return await self._store.read(lambda c: cohort_inbox.latest(c, connection))

    async def next_open(self, connections: Sequence[str]) -> CohortMessage | None:
        """Return the message that is next."""
        return await self._store.read(lambda c: cohort_inbox.next_open(c, connections))

    async def piece(self, message: CohortMessage) -> tuple[int, list[Member]] | None:
        """Return the next of a message's people."""
        return await self._store.read(lambda c: cohort_inbox.piece(c, message))

    async def overtaken(self, message: CohortMessage, keyed: Sequence[KeyedMember]) -> set[int]:
        """Return the keys of whom a later computed message told already."""
        keys = [keys[0] for _, keys in keyed if keys]
        return await self._store.read(lambda c: cohort_inbox.overtaken(c, message, keys))

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
        """Plan a piece's people into the standing launch."""
        await self._fenced(
            lease, lambda c: cohort_members.invite(c, message, position, choices, learn, options, now)
        )
        if any(choice.reason is SkipReason.SUPPRESSED for choice in choices):
            self._store.empty_log()  # the message named somebody who was forgotten

    async def dismiss(
        self, lease: Lease, message: CohortMessage, position: int, keyed: Sequence[KeyedMember], now: int
    ) -> None:
        """Call off those of a piece whose start is not sent."""
        if await self._fenced(lease, lambda c: cohort_members.dismiss(c, message, position, keyed, now)):
            self._store.empty_log()

    async def decided(self, lease: Lease, message: CohortMessage, approve_above: int, now: int) -> None:
        """End the decisions over a message."""
        await self._fenced(lease, lambda c: cohort_members.decided(c, message, approve_above, now))

    async def activate(self, lease: Lease, message: CohortMessage, now: int, limit: int) -> bool:
        """Look once more at planned people."""
        return await self._fenced(lease, lambda c: cohort_members.activate(c, message, now, limit))

    async def _fenced(self, lease: Lease, work: Work[T]) -> T:
        def fenced(c: Connection) -> T:
            leases.fence(c, lease)
            return work(c)

        return await self._store.write(fenced)
