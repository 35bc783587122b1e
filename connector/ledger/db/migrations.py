"""Create the tables of a new database, or upgrade those of an older one to the schema of this version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError

from connector.errors import SettingsError
from connector.ledger.db.dialect import (
    back_up,
    create_sqlite_file,
    is_sqlite,
    lock_for_migration,
    writer_engine,
)
from connector.ledger.db.schema import metadata

if TYPE_CHECKING:
    from alembic.config import Config

REVISIONS: Final = Path(__file__).with_name("revisions")
STORED: Final = Table("schema_revision", MetaData(), Column("version_num", String(32), primary_key=True))
"""Where a database keeps its revision; Alembic asks for this column."""
_BEFORE: Final = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def newest_revision(revisions: Path = REVISIONS) -> str:
    """Return the revision of the schema that this version knows, such as "0001"."""
    return max(_known(revisions))


def migrate(database_url: str, revisions: Path = REVISIONS) -> None:
    """Create or upgrade the tables; of several processes one does so, and the others wait.

    Raises `SettingsError` when the database cannot be used, or has a schema that this program does not know.
    """
    try:
        if is_sqlite(database_url):
            create_sqlite_file(database_url)
        engine = writer_engine(database_url)
        try:
            with engine.begin() as c:
                lock_for_migration(c)
                stored, newest = _stored_revision(c, revisions), newest_revision(revisions)
                if stored is None:
                    create_tables(c, newest)
                elif stored != newest:
                    back_up(database_url, newest)
                    from alembic import command  # noqa: PLC0415 - only an older database needs it

                    command.upgrade(alembic_config(c, revisions), "head")
        finally:
            engine.dispose()
    except OSError as error:
        raise SettingsError(f"DATABASE_URL: the file cannot be made: {error.strerror}") from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or "").partition("\n")[0] or type(error).__name__
        raise SettingsError(f"DATABASE_URL: the database cannot be opened: {reason}") from None


def create_tables(c: Connection, revision: str) -> None:
    """Create the tables in an empty database, and store the revision of their schema."""
    metadata.create_all(c)
    STORED.create(c)
    c.execute(insert(STORED).values(version_num=revision))


def alembic_config(c: Connection, revisions: Path = REVISIONS) -> Config:
    """Return the configuration with which Alembic's commands use a connection; the caller commits."""
    from alembic.config import Config  # noqa: PLC0415 - only an older database needs it

    config = Config(attributes={"connection": c})
    config.set_main_option("script_location", str(revisions).replace("%", "%%"))
    return config


def _known(revisions: Path) -> set[str]:
    """Return the numbers of the revisions from their file names, without importing Alembic."""
    return {path.name.partition("_")[0] for path in (revisions / "versions").glob("[0-9]*.py")}


def _stored_revision(c: Connection, revisions: Path) -> str | None:
    """Return the revision of a database, None for an empty one. Raises `SettingsError` for an unknown one."""
    tables = set(inspect(c).get_table_names())
    if _BEFORE.name in tables and c.execute(select(_BEFORE.c.version_num)).scalar() == "0004":
        # the last version in development had the schema of the first release
        c.exec_driver_sql(f"ALTER TABLE {_BEFORE.name} RENAME TO {STORED.name}")
        c.execute(update(STORED).values(version_num="0001"))
        tables.add(STORED.name)
    if STORED.name not in tables:
        if not tables.isdisjoint((_BEFORE.name, "schema_version", *metadata.tables)):
            raise SettingsError(
                "DATABASE_URL: the database was made by a version in development, or by another program, and "
                "cannot be upgraded; move it away, or set another DATABASE_URL"
            )
        return None
    stored: str = c.execute(select(STORED.c.version_num)).scalar_one()
    if stored not in _known(revisions):
        raise SettingsError(
            f"DATABASE_URL: the database has schema {stored}, which is newer than this program's "
            f"{newest_revision(revisions)}; upgrade koji-amplitude"
        )
    return stored
