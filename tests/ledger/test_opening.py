"""What happens when a ledger is opened, and when its database fails."""

from __future__ import annotations

import asyncio
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from connector.errors import LedgerUnavailable, NotConfigured, SettingsError
from connector.ledger.db.dialect import is_sqlite, sqlite_path
from connector.ledger.db.migrations import migrate
from connector.ledger.ledger import Ledger, open_ledger
from connector.security.sealing import Sealer
from tests.conftest import SEALER
from tests.support.fakes import a_sync, a_webhook

pytestmark = pytest.mark.contract


@pytest.fixture
def postgres_url(empty_postgres_url: str) -> str:
    """Return the URL of a database without tables: these tests make them."""
    return empty_postgres_url


@pytest.fixture
def sqlite_url(new_sqlite_url: str) -> str:
    """Return the URL of a file that is not there yet, for the same reason."""
    return new_sqlite_url


async def opened(database_url: str) -> Ledger:
    return await open_ledger(database_url, SEALER)


async def test_what_was_stored_is_there_after_a_restart(database_url: str) -> None:
    first = await opened(database_url)
    await first.inbox.accept(a_webhook())
    await first.close()
    second = await opened(database_url)
    assert len(await second.inbox.take_new(["default"], 10)) == 1
    await second.ping()
    await second.close()
    if is_sqlite(database_url):
        assert [one.name for one in sqlite_path(database_url).parent.iterdir()] == ["ledger.db"]


async def test_a_file_is_for_its_owner_alone_and_durable(sqlite_url: str) -> None:
    ledger = await opened(sqlite_url)
    path = sqlite_path(sqlite_url)
    assert "a folder, 100%?" in str(path)
    assert {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()} == {0o600}
    with ledger.db._write_engine.connect() as connection:
        told = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "secure_delete")
        }
    assert told == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
    await ledger.close()


async def test_all_who_open_share_one_key(ledger: Ledger, other_ledger: Ledger) -> None:
    assert ledger.keyed_hash("ada@example.com") == other_ledger.keyed_hash("ada@example.com")
    assert ledger.keyed_hash("ada@example.com") != ledger.keyed_hash("grace@example.com")
    assert len(ledger.keyed_hash("half \ud800")) == 32


async def test_many_open_an_empty_database_at_once(database_url: str) -> None:
    ledgers = await asyncio.gather(*(opened(database_url) for _ in range(6)))
    assert len({one.keyed_hash("ada@example.com") for one in ledgers}) == 1
    await asyncio.gather(*(one.close() for one in ledgers))


def test_many_threads_make_one_new_file(tmp_path: Path) -> None:
    """SQLite's own waiting does not cover the switch to a write-ahead log."""
    for number in range(30):
        with ThreadPoolExecutor(4) as threads:
            together = Barrier(4)

            def make(url: str, together: Barrier = together) -> None:
                together.wait()
                migrate(url)

            list(threads.map(make, [f"sqlite:///{tmp_path / str(number)}.db"] * 4))


async def test_another_encryption_key_is_told(ledger: Ledger, database_url: str) -> None:
    stranger = Sealer([b"x" * 32])
    with pytest.raises(NotConfigured, match="CONNECTOR_ENCRYPTION_KEY"):
        await open_ledger(database_url, stranger)
    rotated = Sealer([b"x" * 32, b"k" * 32])
    again = await open_ledger(database_url, rotated)
    assert again.keyed_hash("ada@example.com") == ledger.keyed_hash("ada@example.com")
    await again.close()


@pytest.mark.parametrize(
    "url",
    ["postgresql://nobody:secret-word@127.0.0.1:1/nothing", "sqlite:////proc/nowhere/ledger.db"],
)
async def test_a_database_that_cannot_be_opened_is_told_in_one_line(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        await opened(url)
    assert str(refused.value).startswith("DATABASE_URL: ")
    assert "\n" not in str(refused.value)
    assert "secret-word" not in str(refused.value)


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 100)
    with pytest.raises(SettingsError, match="not a database"):
        await opened(f"sqlite:///{path}")


async def test_a_database_that_fails_is_told_to_all_and_recovers(ledger: Ledger) -> None:
    failing = True

    @event.listens_for(ledger.db._write_engine, "commit")
    def _fail(connection: Connection) -> None:
        if failing:
            _break(connection)

    results = await asyncio.gather(
        *(ledger.inbox.accept(a_webhook(f"int_{at}")) for at in range(5)),
        ledger.syncs.revise([], lambda *_: [a_sync()]),
        return_exceptions=True,
    )
    assert {type(result) for result in results} == {LedgerUnavailable}
    assert all(isinstance(result, LedgerUnavailable) and result.retry_after for result in results)
    failing = False
    assert await ledger.inbox.take_new(["default"], 10) == []
    assert await ledger.inbox.accept(a_webhook("int_1"))
    assert len(await ledger.inbox.take_new(["default"], 10)) == 1


def _break(connection: Connection) -> None:
    """Fail as a full disk or a server that went away does."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only=ON")
        try:
            connection.exec_driver_sql("DELETE FROM diagnostic")
        finally:
            connection.exec_driver_sql("PRAGMA query_only=OFF")
    else:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")


async def test_a_read_that_fails_quotes_no_data(ledger: Ledger) -> None:
    def fail(connection: Connection) -> Any:
        return connection.execute(text("SELECT :who FROM nowhere"), {"who": "ada@example.com"})

    with pytest.raises(LedgerUnavailable) as failed:
        await ledger.db.read(fail)
    assert failed.value.__cause__ is None
    assert "example.com" not in str(failed.value)


async def test_work_that_is_wrong_by_itself_fails_alone_and_quotes_no_data(ledger: Ledger) -> None:
    results = await asyncio.gather(
        ledger.syncs.revise([], lambda *_: [a_sync("int_1"), a_sync("int_1")]),
        *(ledger.inbox.accept(a_webhook(f"int_{at}")) for at in range(5)),
        return_exceptions=True,
    )
    assert isinstance(results[0], LedgerUnavailable)
    assert results[1:] == [True] * 5
