"""The schema: an upgraded ledger has what the models describe, and a later revision upgrades a ledger."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Text, insert, inspect, select, text

from connector.errors import SettingsError
from connector.ledger.db.dialect import is_sqlite, sqlite_path, writer_engine
from connector.ledger.db.migrations import REVISIONS, STORED, migrate, newest_revision
from connector.ledger.db.schema import metadata
from connector.ledger.ledger import Ledger, open_ledger
from tests.conftest import SEALER
from tests.support.fakes import NOW, a_webhook
from tools.first_schema import make_first_schema
from tools.revision import write_revision

pytestmark = pytest.mark.contract


@pytest.fixture
def postgres_url(empty_postgres_url: str) -> str:
    """Return the URL of a database without tables: these tests make them."""
    return empty_postgres_url


@pytest.fixture
def sqlite_url(new_sqlite_url: str) -> str:
    """Return the URL of a file that is not there yet, for the same reason."""
    return new_sqlite_url


LATER = f"{int(newest_revision()) + 1:04}"
REVISION = '''"""A later revision."""

from alembic import op

revision = "{revision}"
down_revision = "{down_revision}"


def upgrade() -> None:
    for statement in {statements}:
        op.execute(statement)
'''
TOY_COLUMN = "ALTER TABLE diagnostic ADD COLUMN toy INTEGER"


@pytest.fixture
def revisions(tmp_path: Path) -> Path:
    """Return a copy of the revisions, to which a test may add one."""
    return shutil.copytree(
        REVISIONS, tmp_path / "100% revisions", ignore=shutil.ignore_patterns("__pycache__")
    )


def add_revision(revisions: Path, *statements: str) -> None:
    source = REVISION.format(revision=LATER, down_revision=newest_revision(), statements=statements)
    (revisions / "versions" / f"{LATER}_later.py").write_text(source)


def described(connection: Connection) -> dict[str, object]:
    """Return what a database itself tells of its tables, columns, keys, indexes and triggers."""
    told = inspect(connection)
    listed = (
        "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        if connection.dialect.name == "sqlite"
        else "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() UNION "
        "SELECT tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid) FROM pg_trigger"
    )
    made_beside = {name: " ".join(made.split()) for name, made in connection.exec_driver_sql(listed)}
    tables = {
        table: (
            [{**column, "type": repr(column["type"])} for column in told.get_columns(table)],
            told.get_pk_constraint(table)["constrained_columns"],
            told.get_unique_constraints(table),
        )
        for table in told.get_table_names()
    }
    return tables | {name: made for name, made in made_beside.items() if STORED.name not in name}


@contextmanager
def written(url: str) -> Iterator[Connection]:
    """Yield a connection whose changes are committed."""
    if is_sqlite(url):
        sqlite_path(url).parent.mkdir(exist_ok=True)
    engine = writer_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.fixture
def first_url(request: pytest.FixtureRequest, database_url: str, sqlite_url: str) -> str:
    """Return the URL of a database that the first release made."""
    url: str = sqlite_url if is_sqlite(database_url) else request.getfixturevalue("empty_postgres_url")
    with written(url) as connection:
        make_first_schema(connection)
    return url


def test_an_upgraded_ledger_has_what_the_models_describe(first_url: str) -> None:
    migrate(first_url)
    with written(first_url) as connection:
        upgraded = described(connection)
        opts = {"compare_server_default": True, "version_table": STORED.name}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []
        assert rows_of(connection)[STORED.name] == [[newest_revision()]]
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert upgraded == described(connection)
    assert len(upgraded) > len(metadata.tables)


def test_a_ledger_of_the_last_version_in_development_is_that_of_the_first_release(first_url: str) -> None:
    with written(first_url) as connection:
        connection.execute(text("ALTER TABLE schema_revision RENAME TO alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    migrate(first_url)
    with written(first_url) as connection:
        assert rows_of(connection)[STORED.name] == [[newest_revision()]]
        assert "alembic_version" not in inspect(connection).get_table_names()


def test_files_of_revisions_are_named_for_their_numbers() -> None:
    script = ScriptDirectory(str(REVISIONS))
    assert script.get_heads() == [newest_revision()]
    for one in script.walk_revisions():
        assert Path(one.path).name.startswith(f"{one.revision}_")


async def test_a_ledger_of_a_newer_program_is_refused_in_one_line(ledger: Ledger, database_url: str) -> None:
    with ledger.db._write_engine.begin() as connection:
        connection.execute(text("UPDATE schema_revision SET version_num = '0099'"))
    with pytest.raises(SettingsError) as refused:
        await open_ledger(database_url, SEALER)
    assert "0099" in str(refused.value)
    assert "upgrade koji-amplitude" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("table", ["alembic_version", "schema_version", "launch"])
def test_a_database_of_a_version_in_development_is_refused_in_one_line(
    sqlite_url: str, postgres_url: str, table: str
) -> None:
    for url in (sqlite_url, postgres_url):
        with written(url) as connection:
            connection.execute(text(f"CREATE TABLE {table} (version_num TEXT)"))
        with pytest.raises(SettingsError, match=r"^DATABASE_URL: .*another DATABASE_URL$"):
            migrate(url)
        with written(url) as connection:
            assert inspect(connection).get_table_names() == [table]


def rows_of(connection: Connection) -> dict[str, list[list[object]]]:
    tables = MetaData()
    tables.reflect(connection)
    return {
        table.name: [[*row] for row in connection.execute(select(table))] for table in tables.sorted_tables
    }


def test_upgrades_keep_the_rows(first_url: str) -> None:
    with written(first_url) as connection:
        first = MetaData()
        first.reflect(connection)
        for table in first.sorted_tables:
            if table.name != STORED.name:
                row = {one.name: one.name if isinstance(one.type, Text) else 1 for one in table.columns}
                connection.execute(insert(table).values(row))
        before = rows_of(connection)
    migrate(first_url)
    with written(first_url) as connection:
        after = rows_of(connection)
    before[STORED.name] = [[newest_revision()]]
    assert all(before.values())
    for name, rows in before.items():
        kept = after.pop(name)
        assert [row[: len(old)] for row, old in zip(kept, rows, strict=True)] == rows
    assert not any(after.values())  # tables of later revisions


async def test_an_upgrade_runs_once_and_copies_a_file_first(
    ledger: Ledger, database_url: str, revisions: Path
) -> None:
    await ledger.inbox.accept(a_webhook())
    add_revision(revisions, TOY_COLUMN)
    for _ in range(2):
        await asyncio.to_thread(migrate, database_url, revisions)
    with ledger.db._write_engine.begin() as connection:
        assert connection.execute(text("SELECT count(toy) FROM diagnostic")).scalar() == 0
    if is_sqlite(database_url):
        copy = sqlite_path(database_url).with_name(f"ledger.db.before-version-{LATER}")
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with closing(sqlite3.connect(copy)) as kept:
            assert kept.execute("SELECT count(*) FROM inbox").fetchone() == (1,)
            assert kept.execute("SELECT version_num FROM schema_revision").fetchone() == (newest_revision(),)
    with pytest.raises(SettingsError):
        await open_ledger(database_url, SEALER)


async def test_an_upgrade_that_fails_leaves_everything_as_it_was(
    ledger: Ledger, database_url: str, revisions: Path
) -> None:
    add_revision(revisions, TOY_COLUMN, "SELECT nothing FROM nowhere")
    with pytest.raises(SettingsError):
        migrate(database_url, revisions)
    again = await open_ledger(database_url, SEALER)
    await again.diagnostics.add("", "ping", {}, NOW, 1)
    with again.db._write_engine.begin() as connection:
        assert "toy" not in {column["name"] for column in inspect(connection).get_columns("diagnostic")}
    await again.close()


def test_of_many_threads_one_upgrades(database_url: str, revisions: Path) -> None:
    migrate(database_url)
    add_revision(revisions, TOY_COLUMN)
    together = Barrier(4)

    def upgrade(_: int) -> None:
        together.wait()
        migrate(database_url, revisions)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(upgrade, range(4)))


def test_of_many_processes_one_makes_the_tables_and_one_upgrades_them(
    database_url: str, revisions: Path
) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as processes:
        list(processes.map(migrate, [database_url] * 3))
        add_revision(revisions, TOY_COLUMN)
        list(processes.map(migrate, [database_url] * 3, [revisions] * 3))


def test_neither_a_new_ledger_nor_one_that_is_up_to_date_needs_alembic(
    sqlite_url: str, postgres_url: str
) -> None:
    code = (
        "import sys; from connector.ledger.db.migrations import migrate; migrate(sys.argv[1]); "
        "sys.exit('alembic' in sys.modules)"
    )
    for url in (sqlite_url, postgres_url) * 2:
        subprocess.run([sys.executable, "-c", code, url], check=True, timeout=60)


def test_the_next_revision_is_written_from_the_models(sqlite_url: str, revisions: Path) -> None:
    migrate(sqlite_url)
    write_revision("Add a weight", revisions)
    source = (revisions / "versions" / f"{LATER}_add_a_weight.py").read_text()
    assert "    pass\n" in source  # the models are those of the revisions
    migrate(sqlite_url, revisions)
    assert sqlite_path(sqlite_url).with_name(f"ledger.db.before-version-{LATER}").is_file()


def test_the_page_on_operations_names_every_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert {name for name in metadata.tables if f"`{name}`" not in page} == set()
