"""A SQLite file with the tables of a ledger: a copy takes a twentieth of making them."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from connector.ledger.db.dialect import sqlite_path
from connector.ledger.db.migrations import migrate


def empty_ledger(database_url: str) -> None:
    """Put an empty ledger, as `migrate` leaves it, where a `sqlite:///…` URL points; a file that is there stays."""
    path = sqlite_path(database_url)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_made())


@cache
def _made() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        migrate(f"sqlite:///{path}")
        return path.read_bytes()
