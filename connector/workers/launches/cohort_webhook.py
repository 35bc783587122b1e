"""The cohort worker: from messages of Amplitude's cohort webhook to people who wait for their invitation."""

from __future__ import annotations

from collections.abc import Sequence

from connector.context import Context
from connector.domain.launches.cohort_message import CohortMessage
from connector.domain.launches.eligibility import UNLIMITED, Selection
from connector.domain.launches.launch import LaunchOptions
from connector.domain.lease import Lease
from connector.domain.people.same_person import Member
from connector.service.planning import CHUNK, aside, chosen
from connector.settings.model import Connection
from connector.workers.base import Worker


class CohortWebhookWorker(Worker):
    """Decides over one message after the other, in the order in which Amplitude computed them."""

    name = "cohorts"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._selections: dict[int, Selection] = {}

    async def recover(self, _lease: Lease, /) -> None:
        """Forget what was decided and perhaps not stored: seen again, it would count as a duplicate."""
        self._selections.clear()

    async def drain(self, lease: Lease, /) -> int | None:
        """Take the next message one step on."""
        inbox, people = self._context.ledger.cohort_inbox, self._context.ledger.cohort_members
        message = await inbox.next_open([*self._context.settings.connections])
        if message is None:
            self._selections.clear()
            return None
        now = self._context.clock.now()
        if message.stage == "activating":
            if not await people.activate(lease, message, now, CHUNK):
                self._context.wake("koji", "links")
            return 0
        chunk = await inbox.chunk(message)
        if chunk is not None:
            await self._decide(lease, message, *chunk)
            return 0
        above = self._context.connection(message.connection).connector_cohort_approve_above
        await people.decided(lease, message, above, now)
        return 0

    async def _decide(
        self, lease: Lease, message: CohortMessage, position: int, members: Sequence[Member]
    ) -> None:
        ctx = self._context
        people = ctx.ledger.cohort_members
        keyed = await aside(members, ctx.ledger.aliases.keyed, message.connection, members)
        overtaken = await ctx.ledger.cohort_inbox.overtaken(message, keyed)
        keyed = [one for one in keyed if not one[1] or one[1][0] not in overtaken]
        now = ctx.clock.now()
        if not message.in_cohort:
            await people.dismiss(lease, message, position, keyed, now)
            return
        if message.id not in self._selections:
            self._selections = {message.id: Selection(UNLIMITED, now)}
        history = await ctx.ledger.aliases.history(keyed)
        choices, taught = await chosen(self._selections[message.id], keyed, history)
        options = options_of(ctx.connection(message.connection), message.cohort_id)
        await people.invite(lease, message, position, choices, taught, options, now)


def options_of(connection: Connection, cohort_id: str) -> LaunchOptions:
    """Return how a cohort's people are invited: as its table says, else as the connection does."""
    told = connection.of_cohort(cohort_id)
    return LaunchOptions(
        max_interviews=connection.connector_max_interviews_per_launch,
        mode=told.mode,
        locale=told.locale,
        variant=told.variant,
        email_property=told.email_property or "email",
        name_property=told.name_property or "name",
    )
