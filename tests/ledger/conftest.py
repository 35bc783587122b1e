"""A desk for all tests of this folder."""

from __future__ import annotations

import pytest

from connector.context import Context
from connector.ledger.ledger import Ledger
from connector.net.target_client import Targets
from connector.settings.model import Connection, Settings
from tests.ledger.desk import CAP, LANE, Desk
from tests.support.fakes import ManualClock


@pytest.fixture
async def desk(ledger: Ledger, clock: ManualClock) -> Desk:
    """Return a desk of two connections that holds the lease of starts."""
    connection = Connection(connector_max_interviews_per_launch=CAP)
    second = connection.model_copy(update={"name": "second"})
    ctx = Context(
        settings=Settings(connections={"default": connection, "second": second}),
        clock=clock,
        ledger=ledger,
        koji={},
        amplitude={},
        amplitude_users={},
        amplitude_elsewhere={},
        amplitude_cohorts={},
        targets=Targets(allow_private=False),
    )
    lease = await ledger.leases.acquire(LANE, "me", clock.now(), 30_000)
    assert lease is not None
    return Desk(ledger, ctx, clock, lease)
