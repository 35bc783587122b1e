"""The link worker makes links with our external id; the worker does not call Koji."""

from __future__ import annotations

from connector.context import Context
from connector.domain.launches.launch import NO_LINK, Invitation, KojiStart, Launch
from connector.domain.launches.respondent_link import lacks_link
from connector.domain.launches.start import start_result
from connector.domain.lease import Fault, Lease
from connector.settings.rules import start_rules
from connector.workers.base import INTERNAL_ERROR, Worker
from connector.workers.launches.daily_caps import DailyCaps, spending_of

_BATCH = 100
_NO_CALL = KojiStart(interview_id=None, session_token=None, link=None)


class LinkWorker(Worker):
    """Hands out links until the daily credits of the connection are used."""

    def __init__(self, context: Context, connection: str) -> None:
        self.name = f"links:{connection}"
        super().__init__(context)
        self._connection = connection
        self._caps = DailyCaps(context)

    async def recover(self, lease: Lease, /) -> None:
        """Mark a stopped worker's invitations as in doubt: no person may get two links."""
        await self._ledger.invitations.recover(lease, [self._connection], self._clock.now())

    async def drain(self, lease: Lease, /) -> int | None:
        """Hand out the next links."""
        for _ in range(_BATCH):
            invitation = None
            for single in (True, False):
                invitation = invitation or await self._caps.waiting(
                    [self._connection], self.held(), single=single
                )
            launch = None if invitation is None else await self._ledger.launches.find(invitation.launch_id)
            if invitation is None or launch is None or self._context.stopping.is_set():
                return self.next_attempt(await self._expire(lease))
            hand_out = self._hand_out(lease, invitation, launch)
            if fault := await self.attempt(invitation.id, invitation.connection, hand_out):
                await self._put_off(lease, invitation, launch, fault)
        return 0

    async def _hand_out(self, lease: Lease, invitation: Invitation, launch: Launch) -> None:
        connection, now = self._context.connection(self._connection), self._clock.now()
        rules = start_rules(connection)
        if lacks_link(rules, launch):
            await self._ledger.launch_pauses.pause_one(lease, launch.id, NO_LINK, now)
            return
        outcome = await self._ledger.invitations.begin_start(
            lease, invitation, spending_of(connection, launch), now
        )
        await self._caps.note(lease, launch, outcome)
        if outcome == "sending":
            result = start_result(rules, launch, invitation, _NO_CALL, now)
            await self._ledger.invitations.started(lease, invitation.id, result, now)

    async def _put_off(self, lease: Lease, invitation: Invitation, launch: Launch, fault: Fault) -> None:
        """Let an invitation wait again, because nothing was called, or end it if it was tried too often."""
        invitations, now = self._ledger.invitations, fault.at
        spending = spending_of(self._context.connection(self._connection), launch)
        await invitations.not_started(lease, invitation.id, spending, now)
        if fault.due is None:
            message = f"The connector failed to make a link ({fault.error})."
            await invitations.given_up(lease, invitation.id, INTERNAL_ERROR, message, now)

    async def _expire(self, lease: Lease) -> int | None:
        """Expire links not opened in 30 days; return the ms until the next expiry, or None."""
        if self._context.connection(self._connection).koji_api_key is not None:
            return None  # then the worker of the Koji key expires links
        invitations, now = self._ledger.invitations, self._clock.now()
        while unopened := await invitations.due([self._connection], now, complete=False):
            await invitations.polled(lease, unopened.id, None, now)
        due = await invitations.next_due([self._connection])
        return None if due is None else max(1, due - now)
