"""Copy a SQLite ledger while it is in use, and make a copy ready to be used instead."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, delete, update

from connector.domain.launches.launch import RESTORED, LaunchStatus
from connector.errors import SettingsError
from connector.ledger.db.dialect import writer_engine
from connector.ledger.db.schema.access import console_session, oauth_grant, oauth_secret
from connector.ledger.db.schema.launches import launch
from connector.ledger.db.schema.runtime import lane


def copy_sqlite(database: Path, copy: Path) -> None:
    """Write one moment of a database to a new file, beside a server that writes to it.

    Raises `sqlite3.Error`.
    """
    copy.touch(mode=0o600, exist_ok=False)
    with closing(sqlite3.connect(database, timeout=60)) as source:
        source.execute("VACUUM INTO ?", (str(copy),))


def make_ready(copy: Path) -> int:
    """Free what the processes of then held, and stop what was to be started; return how many launches wait.

    What happened after the copy was made is not known to it: a start that it would repeat waits for a person.
    Raises `SettingsError` for a file that is no whole database of this program.
    """
    engine = writer_engine(f"sqlite:///{copy}")
    try:
        with engine.begin() as c:
            if c.exec_driver_sql("PRAGMA integrity_check").scalar() != "ok":
                raise SettingsError(f"{copy.name}: the database in it is damaged")
            c.execute(update(lane).values(owner=None, until=0))
            for ended in (
                console_session,
                oauth_grant,
                oauth_secret,
            ):  # a copy may hold what was revoked since
                c.execute(delete(ended))
            return _hold(c)
    finally:
        engine.dispose()


def _hold(c: Connection) -> int:
    """Pause launches that are not ended, call off those in planning, and let no plan be used."""
    would_start = launch.c.status.in_((LaunchStatus.RUNNING, LaunchStatus.PAUSED))
    paused = c.execute(
        update(launch).where(would_start).values(status=LaunchStatus.PAUSED, pause_reason=RESTORED)
    )
    unfinished = launch.c.status == LaunchStatus.PLANNING, launch.c.goes_on
    c.execute(
        update(launch)
        .where(*unfinished)
        .values(
            status=LaunchStatus.CANCELLED, phase=None, error="interrupted", message="Restored from a copy."
        )
    )
    c.execute(update(launch).where(launch.c.status == LaunchStatus.PLANNED).values(expires_at=0))
    return paused.rowcount
