"""The cohort worker turns messages of Amplitude's cohort webhook into invitations."""

from __future__ import annotations

from collections.abc import Sequence

from connector.context import Context
from connector.domain.launches.cohort_message import CohortMessage
from connector.domain.launches.eligibility import UNLIMITED, LaunchRules, Selection
from connector.domain.launches.launch import LaunchOptions
from connector.domain.lease import Lease
from connector.domain.people.same_person import Member
from connector.service.planning import CHUNK, aside, chosen, history_of, holdout_of
from connector.settings.model import Connection
from connector.settings.rules import rest_rules
from connector.workers.base import Worker


class CohortWebhookWorker(Worker):
    """Processes one message at a time, ordered by the time at which Amplitude computed it."""

    name = "cohorts"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._selections: dict[int, Selection] = {}

    async def recover(self, _lease: Lease, /) -> None:
        """Drop selections that were perhaps not stored: their members would count as duplicates."""
        self._selections.clear()

    async def drain(self, lease: Lease, /) -> int | None:
        """Process one step of the next message."""
        connections = [*self._context.settings.connections]
        held = [int(job) for job in (*self.held(), *self.parked()) if job]
        message = await self._ledger.cohort_inbox.next_open(connections, held)
        if message is None:
            self._selections.clear()
            return self.next_attempt(None)
        if await self.attempt(str(message.id), message.connection, self._step(lease, message)):
            self._selections.clear()  # perhaps not stored
        return 0

    async def _step(self, lease: Lease, message: CohortMessage) -> None:
        inbox, people, now = self._ledger.cohort_inbox, self._ledger.cohort_members, self._clock.now()
        if message.stage == "activating":
            if not await people.activate(lease, message, self._rules(message), now, CHUNK):
                self._context.wake("koji", "links")
        elif (chunk := await inbox.chunk(message)) is not None:
            await self._decide(lease, message, *chunk)
        else:
            above = self._context.connection(message.connection).connector_cohort_approve_above
            await people.decided(lease, message, above, now)

    async def _decide(
        self, lease: Lease, message: CohortMessage, position: int, members: Sequence[Member]
    ) -> None:
        people, aliases, now = self._ledger.cohort_members, self._ledger.aliases, self._clock.now()
        keyed = await aside(members, aliases.keyed, message.connection, members)
        overtaken = await self._ledger.cohort_inbox.overtaken(message, keyed)
        keyed = [(member, keys) for member, keys in keyed if not keys or keys[0] not in overtaken]
        if not message.in_cohort:
            await people.dismiss(lease, message, position, keyed, now)
            return
        if message.id not in self._selections:
            self._selections = {message.id: Selection(self._rules(message), now)}
        history = await history_of(self._context, message.connection, keyed)
        selection = self._selections[message.id]
        choices, taught, _ = await chosen(self._context, message.connection, selection, keyed, history)
        options = options_of(self._context.connection(message.connection), message.cohort_id)
        await people.invite(lease, message, position, choices, taught, options, now)

    def _rules(self, message: CohortMessage) -> LaunchRules:
        name = message.connection
        holdout = holdout_of(self._context, name, self._context.connection(name).holdout_percent)
        return UNLIMITED._replace(rests=rest_rules(self._context.settings), holdout=holdout)


def options_of(connection: Connection, cohort_id: str) -> LaunchOptions:
    """Return the options of a cohort's launch: the cohort's own settings, or else the connection's."""
    settings = connection.of_cohort(cohort_id)
    return LaunchOptions(
        max_interviews=connection.connector_max_interviews_per_launch,
        mode=settings.mode,
        locale=settings.locale,
        variant=settings.variant,
        email_property=settings.email_property or "email",
        name_property=settings.name_property or "name",
    )
