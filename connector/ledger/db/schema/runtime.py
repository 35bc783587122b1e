"""The tables of running processes: leases, rate limits, diagnostics and faults."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from connector.domain.lease import ConnectionPause, Fault
from connector.ledger.db.schema.base import columns_of, metadata, serial

lane = Table(
    "lane",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text),
    Column("until", BigInteger, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("paced_until", BigInteger, nullable=False),
    Column("paused_until", BigInteger, nullable=False),
    Column("pause_code", Text),
    Column("pause_message", Text),
)

# the row goes once the upstream accepts a call
connection_pause = Table(
    "connection_pause", metadata, *columns_of(ConnectionPause, key=["connection", "upstream"])
)

rate_limit = Table(
    "rate_limit",
    metadata,
    Column("name", Text, primary_key=True),
    Column("next_at", BigInteger, nullable=False),
    Column("next_interactive_at", BigInteger, nullable=False),
    Column("reserved_until", BigInteger, nullable=False, server_default="0"),
)

diagnostic = Table(
    "diagnostic",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("connection", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("diagnostic_kind", "connection", "kind", "id"),
)

# a job whose last attempt ended in an exception that no code foresaw; the row goes once it succeeds. Of the
# exception only the name of its class is stored: a message may quote a person
fault = Table(
    "fault",
    metadata,
    *columns_of(Fault, key=["worker", "job"]),
)
