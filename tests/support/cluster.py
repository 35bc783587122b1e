"""What several processes on one PostgreSQL share, and what its server counted."""

from __future__ import annotations

import base64

import psycopg

PEERS = {"CONNECTOR_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode()}
"""The setting that processes need where no file lies beside the database."""


def deadlocks(url: str) -> int:
    """Return how many deadlocks PostgreSQL broke in a database; its processes count at most 1 s late."""
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
