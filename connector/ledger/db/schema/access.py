"""The tables of access: tokens, the audit log, answers to repeated requests, and sealed keys."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from connector.ledger.db.schema.base import metadata, serial

token = Table(
    "token",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),  # in hex; the token itself is not stored
    Column("scopes", Text, nullable=False),  # separated by commas
    Column("connections", Text),  # JSON; null: all
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

# the first revision's triggers refuse every change of these two
audit = Table(
    "audit",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("connection", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("token", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("touched", Text, nullable=False),
    Index("audit_connection", "connection", "id"),  # a page is the newest entries of a connection
)

# an entry is written before its operation begins, so that a crash hides nothing; how it ended is a second row
audit_outcome = Table(
    "audit_outcome",
    metadata,
    Column("audit_id", serial, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("touched", Text, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("token", Text),
    Column("until", BigInteger, nullable=False),
    Column("status", Integer),
    Column("body", Text),
    Column("created_at", BigInteger, nullable=False),
    Index("idempotency_created", "created_at"),
)

secret = Table(
    "secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
)
