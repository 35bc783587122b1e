"""Brings a database to the schema that this version knows."""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, insert, inspect, select

from connector.errors import SettingsError
from connector.ledger.dialect import back_up, lock_for_migration, migration_engine
from connector.ledger.schema import SCHEMA_VERSION, metadata, schema_version


def migrate(database_url: str) -> None:
    """Create or upgrade the tables. Raises `SettingsError` when the database is newer than this program."""
    engine = migration_engine(database_url)
    try:
        with engine.connect() as connection:
            if _version(connection) == SCHEMA_VERSION:
                return
        with engine.begin() as connection:
            lock_for_migration(connection)
            version = _version(connection)
            if version > SCHEMA_VERSION:
                raise SettingsError(
                    f"DATABASE_URL: the database has schema version {version}, this program knows {SCHEMA_VERSION}; "
                    "upgrade koji-amplitude"
                )
            if version < SCHEMA_VERSION:
                if version:
                    back_up(database_url, version)
                metadata.create_all(connection)
                connection.execute(
                    insert(schema_version).values(version=SCHEMA_VERSION, applied_at=int(time.time() * 1000))
                )
    finally:
        engine.dispose()


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(schema_version.name):
        return 0
    return int(connection.execute(select(func.coalesce(func.max(schema_version.c.version), 0))).scalar_one())
