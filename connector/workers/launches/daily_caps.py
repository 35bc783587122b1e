"""Keep the starts of a UTC day within the credits of a connection and the people of a standing launch."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog

from connector.context import Context
from connector.domain.launches.credits import Spending, next_day, price
from connector.domain.launches.launch import Invitation, Launch
from connector.domain.launches.start import people_a_day
from connector.domain.lease import Lease
from connector.settings.model import Connection
from connector.settings.rules import start_rules

_log = structlog.get_logger(__name__)


def spending_of(connection: Connection, launch: Launch) -> Spending:
    """Return what a start of a launch spends."""
    return Spending(
        lane=connection.credit_lane,
        cost=price(launch.options, connection.koji_default_mode),
        cap=connection.connector_max_credits_per_day,
        people_a_day=people_a_day(start_rules(connection), launch),
    )


class DailyCaps:
    """Remembers which launches reached a cap, so that others start meanwhile."""

    def __init__(self, context: Context) -> None:
        self._ledger, self._clock = context.ledger, context.clock
        self._connections = context.settings.connections
        self._until: dict[str, int] = {}

    async def waiting(
        self, connections: Sequence[str], held: Collection[str], *, single: bool
    ) -> Invitation | None:
        """Return the next invitation, not `held`, of the launches that may still start a person this day."""
        if not connections:  # a key whose connections all hand out links
            return None
        now = self._clock.now()
        self._until = {launch: until for launch, until in self._until.items() if now < until <= next_day(now)}
        waiting = self._ledger.invitations.next_waiting
        a_day = min(self._connections[name].connector_max_interviews_per_launch for name in connections)
        return await waiting(
            connections, single=single, a_day=a_day, except_launches=self._until, except_ids=held
        )

    async def note(self, lease: Lease, launch: Launch, outcome: str) -> None:
        """Hold a launch until the next UTC day when a start was `held` or its launch `full`.

        Another launch of the connection, with cheaper interviews, may continue.
        """
        now = self._clock.now()
        if outcome == "held":
            await self._ledger.launch_pauses.await_day(lease, launch.id, now)
            _log.warning("daily_credits_used_up", connection=launch.connection, launch=launch.id)
        if outcome in ("held", "full"):
            self._until[launch.id] = next_day(now)
