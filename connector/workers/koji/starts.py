"""Start interviews at Koji, one at a time, and never twice for one person."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence

import structlog

from connector.context import Context, Koji
from connector.domain.launches.credits import Spending
from connector.domain.launches.launch import NO_LINK, Invitation, Launch
from connector.domain.launches.respondent_link import lacks_link
from connector.domain.launches.start import body_of, start_result
from connector.domain.lease import Fault, Lease
from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    OutcomeUnknown,
    UpstreamRejected,
    UpstreamUnavailable,
)
from connector.settings.rules import start_rules
from connector.workers.base import INTERNAL_ERROR
from connector.workers.koji.pause import KojiCalls, KojiPause
from connector.workers.launches.daily_caps import DailyCaps, spending_of

_MOST_IN_DOUBT = 2
_log = structlog.get_logger(__name__)


class Starts(KojiCalls):
    """Starts interviews with one key. After two unknown outcomes in a row, Koji must answer a read."""

    def __init__(self, context: Context, connections: Sequence[str], koji: Koji, pause: KojiPause) -> None:
        super().__init__(context, connections, koji, pause)
        self._doubts = 0
        self._began = False
        self._caps = DailyCaps(context)

    async def recover(self, lease: Lease, *, unreachable: bool = False) -> None:
        """Mark the outcome of a stopped worker's starts as unknown; Koji must then answer a read."""
        lost = await self._ledger.invitations.recover(lease, self._connections, self._clock.now())
        if lost or unreachable:  # an earlier worker had trouble with Koji
            self._doubts = _MOST_IN_DOUBT
        if lost:
            _log.warning("starts_of_unknown_outcome", invitations=lost)

    @property
    def must_probe(self) -> bool:
        """Tell whether Koji must answer a read before another start."""
        return self._doubts >= _MOST_IN_DOUBT

    async def waiting(self, held: Collection[str], *, single: bool) -> Invitation | None:
        """Return the next invitation, not `held`, of the launches that may still start a person this day."""
        return await self._caps.waiting(self._connections, held, single=single)

    async def probe(self) -> None:
        """Read an interview that cannot exist; any valid answer shows that Koji works."""
        try:
            await self._koji.read(str(uuid.uuid4()))
        except ConnectorError as error:
            # `NotFound` is expected; `koji_permission` (the key may not read) is an answer too
            if error.reason != "koji_permission" and await self._pause.for_error(error):
                return
        await self._answered()

    async def start(self, lease: Lease, invitation: Invitation) -> None:
        """Start one interview: commit `sending` before the call, and the outcome after the call."""
        invitations, self._began = self._ledger.invitations, False
        launch = await self._ledger.launches.find(invitation.launch_id)
        if launch is None:
            return
        connection = self._context.connection(invitation.connection)
        if lacks_link(start_rules(connection), launch):
            await self._ledger.launch_pauses.pause_one(lease, launch.id, NO_LINK, self._clock.now())
            return
        spending = spending_of(connection, launch)
        await self._koji.turn()
        outcome = await invitations.begin_start(lease, invitation, spending, self._clock.now())
        await self._caps.note(lease, launch, outcome)
        if outcome == "sending":
            self._began = True
            await self._send(lease, launch, invitation, spending)

    def due_after(self, otherwise: Callable[[int], int | None]) -> Callable[[int], int | None]:
        """Return when a failed start is due again: never once Koji may have been called."""
        return lambda tries: None if self._began else otherwise(tries)

    async def put_off(self, lease: Lease, invitation: Invitation, fault: Fault) -> None:
        """Mark a start as in doubt once Koji may have been called, else end it if it was tried too often."""
        if self._began:
            self._doubts += 1
            message = f"The connector failed before it stored Koji's answer ({fault.error})."
            await self._ledger.invitations.in_doubt(lease, invitation.id, message, fault.at)
        elif fault.due is None:
            message = f"The connector failed before it called Koji ({fault.error})."
            await self._ledger.invitations.given_up(lease, invitation.id, INTERNAL_ERROR, message, fault.at)

    async def _send(self, lease: Lease, launch: Launch, invitation: Invitation, spending: Spending) -> None:
        invitations = self._ledger.invitations
        rules = start_rules(self._context.connection(invitation.connection))
        try:
            answer = await self._koji.start(body_of(rules, launch, invitation))
        except OutcomeUnknown as error:
            self._doubts += 1
            _log.warning("start_in_doubt", launch=launch.id, in_a_row=self._doubts)
            await invitations.in_doubt(lease, invitation.id, error.message, self._clock.now())
        except (UpstreamUnavailable, CredentialsRejected, UpstreamRejected) as error:
            # the pause comes first, so that no other start begins before the launches pause
            if await self._pause.for_error(error, start=True):
                await invitations.not_started(lease, invitation.id, spending, self._clock.now())
                return
            await self._answered(start=True)
            why, now = (error.reason, error.message), self._clock.now()
            await invitations.failed(lease, invitation.id, *why, spending, now)
        else:
            await self._answered(start=True)
            now = self._clock.now()
            result = start_result(rules, launch, invitation, answer, now)
            await invitations.started(lease, invitation.id, result, now)

    async def _answered(self, *, start: bool = False) -> None:
        self._doubts = 0
        await self._pause.answered(start=start)
