"""The tables of events: what happened, its subscribers, and callbacks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text

from connector.domain.events.callback import Callback
from connector.domain.events.event import Event, Hook
from connector.ledger.db.schema.base import columns_of, metadata, partial_index, serial

event = Table(
    "event",
    metadata,
    Column("number", serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    *columns_of(Event, without=["number", "id"]),
    Column("alert", Boolean),  # true until the owner has the alert
    partial_index("event_alert", "number", where="alert IS NOT NULL"),
    Index("event_listed", "connection", "type", "number"),
    Index("event_subject", "subject"),
)

hook = Table(
    "hook",
    metadata,
    *columns_of(Hook, key=["id"], without=["token"]),
    Column("secret", Text, nullable=False),  # sealed
    Column("token", Text),
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

# a result to be posted to the caller's URL, which is sealed; the row goes once it was posted
callback = Table(
    "callback",
    metadata,
    *columns_of(Callback, key=["id"]),
    Index("callback_due", "due"),
)
