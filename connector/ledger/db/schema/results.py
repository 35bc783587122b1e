"""The tables of results: webhooks that came in, interviews with their outcome, and runs over many of them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table, Text

from connector.domain.results.sync import InboundWebhook, Sync
from connector.domain.results.tally import Cell
from connector.ledger.db.schema.base import columns_of, metadata, partial_index, serial

IS_ERASED = "body IS NULL AND received_at % 86400000 = 0 AND id > 0"
"""An anonymous interview's webhook whose id still tells when it came."""

inbox = Table(
    "inbox",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    *columns_of(InboundWebhook, without=["id"]),
    partial_index(
        "inbox_webhook_id", "connection", "webhook_id", where="webhook_id IS NOT NULL", unique=True
    ),
    Index("inbox_digest", "connection", "digest", unique=True),
    partial_index("inbox_new", "connection", "id", where="state = 'new'"),
    partial_index("inbox_unreadable", "connection", "id", where="state = 'unreadable'"),
    partial_index("inbox_erased", "id", where=IS_ERASED),
    Index("inbox_interview", "connection", "interview_id"),
)

sync = Table(
    "sync",
    metadata,
    *columns_of(Sync, key=["connection", "interview_id"]),
    Column("scatter", SmallInteger),  # see connector.ledger.people.scatter
    partial_index("sync_scatter", "scatter", where="scatter IS NOT NULL"),
    partial_index("sync_due", "stage", "connection", "due", "completed_at", where="stage IS NOT NULL"),
    partial_index("sync_user", "user_hash", "connection", "completed_at", where="user_hash IS NOT NULL"),
    Index("sync_listed", "connection", "first_received_at", "interview_id"),
    partial_index("sync_sending", "connection", where="sending_since IS NOT NULL"),
    partial_index("sync_run", "run_id", "stage", "reads", where="run_id IS NOT NULL"),
    partial_index("sync_respondent", "respondent", where="respondent IS NOT NULL"),
    partial_index("sync_external", "external", where="external IS NOT NULL"),
    # the time of receipt never changes: no update has to move an entry
    partial_index("sync_unpruned", "first_received_at", where="pruned_at IS NULL"),
)

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("total", Integer, nullable=False),  # 0 until all of its items are stored
    Column("step", Text),  # what the worker does with its items
)

run_source = Table(
    "run_source",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("interviews", Text, nullable=False),
)

run_item = Table(
    "run_item",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("interview_id", Text, primary_key=True),
)

counter = Table(
    "counter",
    metadata,
    Column("connection", Text, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("n", BigInteger, nullable=False),
)

# what synced interviews say, counted; see connector.domain.results.tally
tally = Table(
    "tally",
    metadata,
    *columns_of(Cell, key=Cell._fields),
    Column("n", BigInteger, nullable=False),
    partial_index("tally_few", "day", where="n < 5"),
)
