"""The tables of the book.

Times are milliseconds since the epoch. What keeps a promise after pruning stays in `sync`: the interview id
with its outcome, the keyed hash of the user and the completion time. Everything that names or quotes a person
can be nulled without breaking one.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, MetaData, Table, Text, text

Upgrade = Callable[[Connection], None]

UPGRADES: tuple[Upgrade, ...] = ()
"""What changes existing tables: the first brings version 1 to version 2. New tables need none."""

SCHEMA_VERSION = 1 + len(UPGRADES)

metadata = MetaData()
_serial = BigInteger().with_variant(Integer, "sqlite")

schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("applied_at", BigInteger, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("connection", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("event", Text),
    Column("interview_id", Text),
    Column("webhook_id", Text),
    Column("digest", Text),
    Column("body", Text),
    Column("header", Text),
    Column("scheme", Text),
    Column("signed_at", BigInteger),
    Index(
        "inbox_webhook_id",
        "connection",
        "webhook_id",
        unique=True,
        sqlite_where=text("webhook_id IS NOT NULL"),
        postgresql_where=text("webhook_id IS NOT NULL"),
    ),
    Index("inbox_digest", "connection", "digest", unique=True),
    Index(
        "inbox_new",
        "connection",
        "id",
        sqlite_where=text("state = 'new'"),
        postgresql_where=text("state = 'new'"),
    ),
    Index(
        "inbox_unreadable",
        "connection",
        "id",
        sqlite_where=text("state = 'unreadable'"),
        postgresql_where=text("state = 'unreadable'"),
    ),
    Index("inbox_interview", "connection", "interview_id"),
)

sync = Table(
    "sync",
    metadata,
    Column("connection", Text, primary_key=True),
    Column("interview_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("stage", Text),
    Column("due", BigInteger),
    Column("first_received_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("completed_at", BigInteger),
    Column("synced_at", BigInteger),
    Column("facts", Text),
    Column("user_id", Text),
    Column("user_hash", Text),
    Column("identify", Text),
    Column("event", Text),
    Column("given", Boolean, nullable=False),
    Column("reads", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("frozen_at", BigInteger),
    Column("sending_since", BigInteger),
    Column("unknown_since", BigInteger),
    Column("attempts", Text),
    Column("run_id", Text),
    Column("backfill", Boolean, nullable=False),
    Column("force", Boolean, nullable=False),
    Column("pruned_at", BigInteger),
    Index(
        "sync_due",
        "stage",
        "connection",
        "due",
        "completed_at",
        sqlite_where=text("stage IS NOT NULL"),
        postgresql_where=text("stage IS NOT NULL"),
    ),
    Index(
        "sync_user",
        "user_hash",
        "connection",
        "completed_at",
        sqlite_where=text("user_hash IS NOT NULL"),
        postgresql_where=text("user_hash IS NOT NULL"),
    ),
    Index("sync_listed", "connection", "first_received_at", "interview_id"),
    Index(
        "sync_sending",
        "connection",
        sqlite_where=text("sending_since IS NOT NULL"),
        postgresql_where=text("sending_since IS NOT NULL"),
    ),
    Index(
        "sync_run",
        "run_id",
        "stage",
        "reads",
        sqlite_where=text("run_id IS NOT NULL"),
        postgresql_where=text("run_id IS NOT NULL"),
    ),
    Index(
        "sync_unpruned",
        "first_received_at",  # which never changes: no update has to move it
        sqlite_where=text("pruned_at IS NULL"),
        postgresql_where=text("pruned_at IS NULL"),
    ),
)

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("total", Integer, nullable=False),
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
    Column("pause_words", Text),
)

budget = Table(
    "budget",
    metadata,
    Column("name", Text, primary_key=True),
    Column("next_at", BigInteger, nullable=False),
    Column("next_interactive_at", BigInteger, nullable=False),
)

note = Table(
    "note",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("connection", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("note_kind", "connection", "kind", "id"),
)

answer = Table(
    "answer",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("token", Text),
    Column("until", BigInteger, nullable=False),
    Column("status", Integer),
    Column("body", Text),
    Column("created_at", BigInteger, nullable=False),
    Index("answer_created", "created_at"),
)

secret = Table(
    "secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
)
