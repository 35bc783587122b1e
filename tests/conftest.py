"""Fixtures that every kind of test may use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from connector.ledger.ledger import Ledger, open_ledger
from connector.security.sealing import Sealer
from tests.support import postgres
from tests.support.fakes import ManualClock

SEALER = Sealer([b"k" * 32])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if postgres.is_available():
        return
    for item in items:
        if item.get_closest_marker("postgres"):
            item.add_marker(pytest.mark.skip(reason=postgres.MISSING))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Yield the URL of a server on which databases can be made."""
    with postgres.server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Yield the URL of an empty database."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a file that is not there yet, in a folder whose name has to be quoted."""
    return "sqlite:///" + quote(f"{tmp_path}/a folder, 100%?/ledger.db")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database, once for each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """Yield an open ledger."""
    opened = await open_ledger(database_url, SEALER)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def other_ledger(ledger: Ledger, database_url: str) -> AsyncIterator[Ledger]:
    """Yield the same ledger as another process sees it."""
    opened = await open_ledger(database_url, SEALER)
    try:
        yield opened
    finally:
        await opened.close()
