"""Brings a database to the schema that this version knows."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from connector.errors import SettingsError
from connector.ledger.db.dialect import (
    back_up,
    create_sqlite_file,
    is_sqlite,
    lock_for_migration,
    writer_engine,
)
from connector.ledger.db.schema import (
    UPGRADES,
    Upgrade,
    metadata,
    schema_version,
)


def migrate(database_url: str, upgrades: Sequence[Upgrade] = UPGRADES) -> None:
    """Create or upgrade the tables; of several processes one does it, the others wait.

    Raises `SettingsError` when the database cannot be used, or is newer than this program.
    """
    try:
        if is_sqlite(database_url):
            create_sqlite_file(database_url)
        engine = writer_engine(database_url)
        try:
            with engine.begin() as connection:
                lock_for_migration(connection)
                _upgrade(connection, database_url, upgrades)
        finally:
            engine.dispose()
    except OSError as error:
        raise SettingsError(f"DATABASE_URL: the file cannot be made: {error.strerror}") from None
    except SQLAlchemyError as error:
        raise SettingsError(f"DATABASE_URL: the database cannot be opened: {_first_line(error)}") from None


def _upgrade(connection: Connection, database_url: str, upgrades: Sequence[Upgrade]) -> None:
    known = 1 + len(upgrades)
    version = _version(connection)
    if version > known:
        raise SettingsError(
            f"DATABASE_URL: the database has schema version {version}, this program knows {known}; "
            "upgrade koji-amplitude"
        )
    if version == known:
        return
    if version:
        back_up(database_url, known)
        for upgrade in upgrades[version - 1 :]:
            upgrade(connection)
    metadata.create_all(connection)
    connection.execute(insert(schema_version).values(version=known, applied_at=time.time_ns() // 1_000_000))


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(schema_version.name):
        return 0
    return int(connection.execute(select(func.coalesce(func.max(schema_version.c.version), 0))).scalar_one())


def _first_line(error: SQLAlchemyError) -> str:
    lines = str(getattr(error, "orig", None) or type(error).__name__).splitlines()
    return lines[0] if lines else type(error).__name__
