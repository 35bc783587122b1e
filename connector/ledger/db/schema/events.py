"""The tables of events: what happened, its subscribers, and callbacks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from connector.ledger.db.schema.base import metadata, partial_index, serial

event = Table(
    "event",
    metadata,
    Column("number", serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payload", Text, nullable=False),  # JSON without a person's data
    Index("event_listed", "connection", "type", "number"),
    Index("event_subject", "subject"),
)

hook = Table(
    "hook",
    metadata,
    Column("id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("target_url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("hook_same", "connection", "event", "target_url", unique=True),
)

hook_delivery = Table(
    "hook_delivery",
    metadata,
    Column("number", serial, primary_key=True, autoincrement=True),
    Column("hook_id", Text, nullable=False),
    Column("event_number", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("outcome", Text),
    Column("due", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    partial_index("hook_delivery_due", "hook_id", "due", where="due IS NOT NULL"),
    Index("hook_delivery_listed", "hook_id", "number"),
    Index("hook_delivery_event", "event_number"),
)

# a result to be posted to the caller's URL; the row goes once it was posted
callback = Table(
    "callback",
    metadata,
    Column("id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("answer", Text, nullable=False),  # JSON without a person's data
    Column("target_url", Text, nullable=False),  # sealed
    Column("created_at", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("ready_at", BigInteger),
    Column("tries", Integer, nullable=False),
    Column("scopes", Text),  # of the caller
    Index("callback_due", "due"),
)
