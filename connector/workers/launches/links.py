"""The link worker: hands out links that carry our external id, without any call to Koji."""

from __future__ import annotations

from connector.context import Context
from connector.domain.launches.credits import next_day, price
from connector.domain.launches.launch import Invitation, KojiStart
from connector.domain.launches.start import handed, people_a_day
from connector.domain.lease import Lease
from connector.settings.rules import start_rules
from connector.workers.base import Worker

_BATCH = 100
_NO_CALL = KojiStart(interview_id=None, session_token=None, link=None)


class LinkWorker(Worker):
    """Hands out the links of one connection, within its credits of the day."""

    def __init__(self, context: Context, connection: str) -> None:
        self.name = f"links:{connection}"
        super().__init__(context)
        self._connection = connection
        self._held: dict[str, int] = {}

    async def recover(self, lease: Lease, /) -> None:
        """Put on record as in doubt what a dead owner left: no person may have two links."""
        await self._context.ledger.invitations.recover(lease, [self._connection], self._context.clock.now())

    async def drain(self, lease: Lease, /) -> int | None:
        """Hand out the next links."""
        ctx = self._context
        for _ in range(_BATCH):
            now = ctx.clock.now()
            self._held = {launch: until for launch, until in self._held.items() if until > now}
            one = None
            for single in (True, False):
                one = one or await ctx.ledger.invitations.next_waiting(
                    [self._connection], single=single, besides=self._held
                )
            if one is None or ctx.stopping.is_set():
                return await self._expired(lease)
            await self._hand_out(lease, one)
        return 0

    async def _hand_out(self, lease: Lease, one: Invitation) -> None:
        ctx = self._context
        connection = ctx.connection(self._connection)
        launch = await ctx.ledger.launches.find(one.launch_id)
        if launch is None:
            return
        now, rules = ctx.clock.now(), start_rules(connection)
        begun = await ctx.ledger.invitations.begin_start(
            lease,
            one,
            credit_lane=connection.credit_lane,
            cost=price(launch.options, connection.koji_default_mode),
            cap=connection.connector_max_credits_per_day,
            now=now,
            people_a_day=people_a_day(rules, launch),
        )
        if begun == "held":
            await ctx.ledger.launch_pauses.await_day(lease, launch.id, now)
        if begun in ("held", "full"):
            self._held[launch.id] = next_day(now)
        elif begun == "sending":
            await ctx.ledger.invitations.started(
                lease, one.id, handed(rules, launch, one, _NO_CALL, now), now
            )

    async def _expired(self, lease: Lease) -> int | None:
        """Let links expire that were not opened in 30 days; return how long until the next one."""
        ctx = self._context
        now = ctx.clock.now()
        if ctx.connection(self._connection).koji_api_key is not None:
            return None  # the lane of the key does
        while silent := await ctx.ledger.invitations.due([self._connection], now, complete=False):
            await ctx.ledger.invitations.polled(lease, silent.id, None, now)
        due = await ctx.ledger.invitations.next_due([self._connection])
        return None if due is None else max(1, due - now)
