"""A desk, and a PostgreSQL database that the tests of launches and erasures share."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from connector.context import Context
from connector.ledger.db.schema import metadata
from connector.ledger.ledger import Ledger
from connector.net.target_client import Targets
from connector.settings.model import Connection, Settings
from tests.ledger.desk import CAP, LANE, Desk
from tests.support import postgres
from tests.support.fakes import ManualClock


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: str) -> Iterator[str]:
    """Yield a database for many tests: making one takes longer than most of them."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture
def emptied_postgres_url(shared_postgres_url: str) -> str:
    """Return the URL of the shared database, emptied; its schema may be there already.

    A folder of tests that do not look at the schema uses it as its `postgres_url`.
    """
    with psycopg.connect(shared_postgres_url, autocommit=True) as connection:
        # in this session triggers do not fire: those of the audit log would refuse
        connection.execute("SET session_replication_role = replica")
        for table in metadata.sorted_tables:
            found = connection.execute("SELECT to_regclass(%s)", [table.name]).fetchone()
            if found != (None,):
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
    return shared_postgres_url


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
