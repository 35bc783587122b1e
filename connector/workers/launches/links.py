"""The link worker makes links with our external id; the worker does not call Koji."""

from __future__ import annotations

from connector.context import Context
from connector.domain.launches.credits import next_day, price
from connector.domain.launches.launch import NO_LINK, Invitation, KojiStart
from connector.domain.launches.respondent_link import lacks_link
from connector.domain.launches.start import people_a_day, start_result
from connector.domain.lease import Fault, Lease
from connector.settings.rules import start_rules
from connector.workers.base import INTERNAL_ERROR, Worker

_BATCH = 100
_NO_CALL = KojiStart(interview_id=None, session_token=None, link=None)


class LinkWorker(Worker):
    """Hands out links until the daily credits of the connection are used."""

    def __init__(self, context: Context, connection: str) -> None:
        self.name = f"links:{connection}"
        super().__init__(context)
        self._connection = connection
        self._paused_until: dict[str, int] = {}

    async def recover(self, lease: Lease, /) -> None:
        """Mark a stopped worker's invitations as in doubt: no person may get two links."""
        await self._ledger.invitations.recover(lease, [self._connection], self._clock.now())

    async def drain(self, lease: Lease, /) -> int | None:
        """Hand out the next links."""
        for _ in range(_BATCH):
            now = self._clock.now()
            self._paused_until = {
                launch: until for launch, until in self._paused_until.items() if now < until <= next_day(now)
            }
            invitation = None
            for single in (True, False):
                invitation = invitation or await self._ledger.invitations.next_waiting(
                    [self._connection],
                    single=single,
                    except_launches=self._paused_until,
                    except_ids=self.held(),
                )
            if invitation is None or self._context.stopping.is_set():
                return self.next_attempt(await self._expire(lease))
            hand_out = self._hand_out(lease, invitation)
            if fault := await self.attempt(invitation.id, invitation.connection, hand_out):
                await self._put_off(lease, invitation, fault)
        return 0

    async def _hand_out(self, lease: Lease, invitation: Invitation) -> None:
        connection = self._context.connection(self._connection)
        launch = await self._ledger.launches.find(invitation.launch_id)
        if launch is None:
            return
        now, rules = self._clock.now(), start_rules(connection)
        if lacks_link(rules, launch):
            await self._ledger.launch_pauses.pause_one(lease, launch.id, NO_LINK, now)
            return
        outcome = await self._ledger.invitations.begin_start(
            lease,
            invitation,
            credit_lane=connection.credit_lane,
            cost=price(launch.options, connection.koji_default_mode),
            cap=connection.connector_max_credits_per_day,
            now=now,
            people_a_day=people_a_day(rules, launch),
        )
        if outcome == "held":
            await self._ledger.launch_pauses.await_day(lease, launch.id, now)
        if outcome in ("held", "full"):
            self._paused_until[launch.id] = next_day(now)
        elif outcome == "sending":
            result = start_result(rules, launch, invitation, _NO_CALL, now)
            await self._ledger.invitations.started(lease, invitation.id, result, now)

    async def _put_off(self, lease: Lease, invitation: Invitation, fault: Fault) -> None:
        """Let an invitation wait again, because nothing was called, or end it if it was tried too often."""
        invitations, connection = self._ledger.invitations, self._context.connection(self._connection)
        launch = await self._ledger.launches.find(invitation.launch_id)
        cost = 0 if launch is None else price(launch.options, connection.koji_default_mode)
        lane, now = connection.credit_lane, fault.at
        await invitations.not_started(lease, invitation.id, credit_lane=lane, cost=cost, now=now)
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
