"""Fixtures that every kind of test may use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from connector.ledger.db.dialect import create_sqlite_file, sqlite_path
from connector.ledger.db.migrations import migrate
from connector.ledger.ledger import Ledger, open_ledger
from connector.security.sealing import Sealer
from tests import postgres
from tests.fakes import ManualClock

SEALER = Sealer([b"k" * 32])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if postgres.is_available():
        return
    for item in items:
        if item.get_closest_marker("postgres"):
            item.add_marker(pytest.mark.skip(reason=postgres.MISSING))


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes and long texts after their argument: some are made anew in every process."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 40) else None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Yield the URL of a server on which databases can be made."""
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def made_postgres_url(postgres_server: str) -> Iterator[str]:
    """Yield the URL of a database with the tables of a ledger."""
    with postgres.database(postgres_server) as url:
        migrate(url)
        yield url


@pytest.fixture
def postgres_url(made_postgres_url: str) -> str:
    """Return the URL of a ledger in which nothing is: one database for all, because making one takes long."""
    postgres.empty(made_postgres_url)
    return made_postgres_url


@pytest.fixture
def bare_postgres_url(postgres_server: str) -> Iterator[str]:
    """Yield the URL of a database without tables."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def made_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the tables of a ledger."""
    path = tmp_path_factory.mktemp("made") / "ledger.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(bare_sqlite_url: str, made_sqlite_file: Path) -> str:
    """Return the URL of a file with a ledger in which nothing is."""
    create_sqlite_file(bare_sqlite_url)
    sqlite_path(bare_sqlite_url).write_bytes(made_sqlite_file.read_bytes())
    return bare_sqlite_url


@pytest.fixture
def bare_sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a file that is not there yet, in a folder whose name has to be quoted."""
    return "sqlite:///" + quote(f"{tmp_path}/a folder, 100%?/ledger.db")


KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a ledger in which nothing is, once for each kind of database."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=KINDS)
def bare_database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database without tables, once for each kind."""
    url: str = request.getfixturevalue(f"bare_{request.param}_url")
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
