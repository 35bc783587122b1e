"""Copy a SQLite ledger into an empty PostgreSQL database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Table, func, inspect, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from connector.errors import Conflict, SettingsError
from connector.ledger.db.bulk import are_storable, storable
from connector.ledger.db.dialect import lock_for_migration, writer_engine
from connector.ledger.db.migrations import STORED, create_tables, newest_revision
from connector.ledger.db.schema import metadata
from connector.ledger.db.schema.runtime import lane

_ROWS_AT_ONCE = 2_000


def copy_to_postgres(source_url: str, target_url: str, now: int) -> dict[str, int]:
    """Copy every row, and return the number of rows by table; all is copied, or nothing.

    Nothing is written to the source meanwhile, nor can a server start on the target. Its lanes are free.
    Raises `Conflict` while a process works on the source, and for a target with tables of ours, and
    `SettingsError` when a database cannot be used.
    """
    with _transaction(source_url) as source:
        _check_source(source, now)
        with _transaction(target_url) as target:
            lock_for_migration(target)
            if not set(inspect(target).get_table_names()).isdisjoint((*metadata.tables, STORED.name)):
                raise Conflict("The target has a ledger already; name an empty database.", code="not_empty")
            create_tables(target, newest_revision())
            counts = {table.name: _copy(source, target, table) for table in metadata.sorted_tables}
            target.execute(update(lane).values(owner=None, until=0))
            for name in counts:
                target.exec_driver_sql(f"ANALYZE {name}")
    return counts


@contextmanager
def _transaction(url: str) -> Iterator[Connection]:
    engine = writer_engine(url)
    try:
        with engine.begin() as c:
            yield c
    except (SQLAlchemyError, psycopg.Error) as error:
        cause = getattr(error, "orig", None) or error
        # other messages than those about the server may quote a row
        is_about_server = isinstance(cause, psycopg.OperationalError | sqlite3.OperationalError)
        reason = str(cause).partition("\n")[0] if is_about_server else type(cause).__name__
        raise SettingsError(f"{engine.dialect.name}: the database cannot be used: {reason}") from None
    finally:
        engine.dispose()


def _check_source(c: Connection, now: int) -> None:
    tables = inspect(c).get_table_names()
    revision = c.execute(select(STORED.c.version_num)).scalar() if STORED.name in tables else None
    if revision != newest_revision():
        raise SettingsError(
            "DATABASE_URL: the ledger has the schema of another version; start this version on it once, stop "
            "it, and copy again"
        )
    if c.execute(select(lane.c.name).where(lane.c.owner.is_not(None), lane.c.until > now).limit(1)).first():
        raise Conflict(
            "A process works on the ledger: stop every one first. After a kill, wait half a minute.",
            code="ledger_in_use",
        )


def _copy(source: Connection, target: Connection, table: Table) -> int:
    """Copy a table in the order of its key, and return the number of rows.

    Their place on the disk then tells nothing of when they changed.
    """
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=_ROWS_AT_ONCE)
    driver = target.connection.driver_connection
    assert driver is not None  # noqa: S101 - it is open
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for row in source.execute(query):
            copy.write_row(row if are_storable(row) else [storable(value) for value in row])
    counts = [c.execute(select(func.count()).select_from(table)).scalar_one() for c in (source, target)]
    if counts[0] != counts[1]:
        raise SettingsError(f"{table.name}: {counts[0]} rows became {counts[1]}; nothing was copied")
    if (number := table.autoincrement_column) is not None:
        sequence = text(
            f"SELECT setval(pg_get_serial_sequence(:name, :column), max({number.name})) FROM {table.name}"  # noqa: S608
        )
        target.execute(sequence, {"name": table.name, "column": number.name})
    return int(counts[0])
