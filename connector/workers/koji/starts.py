"""Start interviews at Koji, one at a time, never twice for one person."""

from __future__ import annotations

import uuid

import structlog

from connector.context import Context, Koji
from connector.domain.launches.credits import launch_lane, next_day, price
from connector.domain.launches.launch import Invitation, Launch
from connector.domain.launches.start import body_of, handed, people_a_day
from connector.domain.lease import Lease
from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    UpstreamRejected,
    UpstreamUnavailable,
)
from connector.settings.rules import start_rules
from connector.workers.koji.pause import PAUSES, KojiPause

_MOST_IN_DOUBT = 2
_log = structlog.get_logger(__name__)


class Starts:
    """The starts of one key. After two unknown outcomes in a row Koji must first answer a read sanely."""

    def __init__(self, context: Context, connections: tuple[str, ...], koji: Koji, pause: KojiPause) -> None:
        self._context = context
        self._connections = connections
        self._koji = koji
        self._pause = pause
        self._doubts = 0
        self._held: dict[str, int] = {}

    async def recover(self, lease: Lease, *, unreachable: bool = False) -> None:
        """Give starts that a dead owner left an unknown outcome; each counts towards the two."""
        now = self._context.clock.now()
        lost = await self._context.ledger.invitations.recover(lease, self._connections, now)
        if lost or unreachable:  # what an earlier owner knew of Koji's trouble holds for this one too
            self._doubts = _MOST_IN_DOUBT
        if lost:
            _log.warning("starts_of_unknown_outcome", invitations=lost)

    @property
    def must_probe(self) -> bool:
        """Tell whether Koji must answer a read before another start."""
        return self._doubts >= _MOST_IN_DOUBT

    async def waiting(self, *, single: bool) -> Invitation | None:
        """Return who is next in the launches that may still start a person this UTC day."""
        now = self._context.clock.now()
        self._held = {launch: until for launch, until in self._held.items() if until > now}
        return await self._context.ledger.invitations.next_waiting(
            self._connections, single=single, besides=self._held
        )

    async def probe(self) -> None:
        """Ask Koji for an interview that cannot exist: any sane answer will do."""
        try:
            await self._koji.read(str(uuid.uuid4()))
        except NotFound:
            pass
        except UpstreamUnavailable as error:
            await self._pause.for_silence(error)
            return
        except ConnectorError as error:
            # a key that may not read is an answer as good as any
            if error.reason in PAUSES - {"koji_permission"}:
                await self._pause.for_key(error)
                return
        self._doubts = 0
        await self._pause.answered()

    async def start(self, lease: Lease, invitation: Invitation) -> None:
        """Start one interview: `sending` is committed before the call, the outcome after it."""
        ctx = self._context
        launch = await ctx.ledger.launches.find(invitation.launch_id)
        if launch is None:
            return
        connection = ctx.connection(invitation.connection)
        credits_ = price(launch.options, connection.koji_default_mode)
        cap = connection.connector_max_credits_per_day
        now = ctx.clock.now()
        if await ctx.ledger.invitations.credits_left(connection.credit_lane, cap, now) < credits_:
            await self._hold(lease, launch)
            return
        people = people_a_day(start_rules(connection), launch)
        lane = launch_lane(launch.id)
        if people is not None and await ctx.ledger.invitations.credits_left(lane, people, now) < 1:
            self._held[launch.id] = next_day(now)
            return
        await self._koji.turn()
        begun = await ctx.ledger.invitations.begin_start(
            lease,
            invitation,
            credit_lane=connection.credit_lane,
            cost=credits_,
            cap=cap,
            now=ctx.clock.now(),
            people_a_day=people,
        )
        if begun == "held":
            await self._hold(lease, launch)
        elif begun == "full":
            self._held[launch.id] = next_day(ctx.clock.now())
        elif begun == "sending":
            await self._send(lease, launch, invitation, credits_)

    async def _hold(self, lease: Lease, launch: Launch) -> None:
        """Leave a launch alone until the next UTC day: one of cheaper interviews may still go on."""
        now = self._context.clock.now()
        await self._context.ledger.launch_pauses.await_day(lease, launch.id, now)
        self._held[launch.id] = next_day(now)
        _log.warning("daily_credits_used_up", connection=launch.connection, launch=launch.id)

    async def _send(self, lease: Lease, launch: Launch, invitation: Invitation, price: int) -> None:
        ctx = self._context
        connection = ctx.connection(invitation.connection)
        lane = connection.credit_lane
        try:
            answer = await self._koji.start(body_of(start_rules(connection), launch, invitation))
        except OutcomeUnknown as error:
            self._doubts += 1
            _log.warning("start_in_doubt", launch=launch.id, in_a_row=self._doubts)
            await ctx.ledger.invitations.in_doubt(lease, invitation.id, error.message, ctx.clock.now())
        except UpstreamUnavailable as error:
            await self._pause.for_silence(error)
            await self._put_back(lease, invitation, lane, price)
        except (CredentialsRejected, UpstreamRejected) as error:
            if error.reason in PAUSES:
                # first, so that no start is next before the launches stand still
                await self._pause.for_key(error)
                await self._put_back(lease, invitation, lane, price)
                return
            await self._answered()
            await ctx.ledger.invitations.failed(
                lease,
                invitation.id,
                error.reason,
                error.message,
                credit_lane=lane,
                cost=price,
                now=ctx.clock.now(),
            )
        else:
            await self._answered()
            now = ctx.clock.now()
            got = handed(start_rules(connection), launch, invitation, answer, now)
            await ctx.ledger.invitations.started(lease, invitation.id, got, now)

    async def _put_back(self, lease: Lease, invitation: Invitation, lane: str, price: int) -> None:
        now = self._context.clock.now()
        await self._context.ledger.invitations.not_started(
            lease, invitation.id, credit_lane=lane, cost=price, now=now
        )

    async def _answered(self) -> None:
        self._doubts = 0
        await self._pause.answered()
