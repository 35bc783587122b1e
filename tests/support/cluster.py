"""What several processes on one PostgreSQL share, and what its server counted."""

from __future__ import annotations

import base64

import psycopg
from sqlalchemy import select

from connector.ledger.db.dialect import reader_engine
from connector.ledger.db.schema.runtime import lane

PEERS = {"CONNECTOR_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode()}
"""The setting that processes need where no file lies beside the database."""
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND application_name = 'koji-amplitude'"
)
"""Cuts every connection of the connector."""


def deadlocks(url: str) -> int:
    """Return how many deadlocks PostgreSQL broke in a database; its processes count at most 1 s late."""
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def owners(url: str) -> dict[str, int]:
    """Return the process id of the owner of each lane that has one."""
    engine = reader_engine(url, 1)
    try:
        with engine.connect() as c:
            rows = c.execute(select(lane.c.name, lane.c.owner).where(lane.c.owner.is_not(None)))
            return {row.name: int(row.owner.split(":")[1]) for row in rows}
    finally:
        engine.dispose()
