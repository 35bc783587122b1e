"""The tables of the book.

Times are milliseconds since the epoch. What keeps a promise after pruning stays in `sync`: the interview id
with its outcome, the keyed hash of the user and the completion time. Everything that names or quotes a person
can be nulled without breaking one.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    false,
    inspect,
    text,
)

from connector.ledger.db.dialect import append_only

Upgrade = Callable[[Connection], None]


def _only_new_tables(_connection: Connection) -> None:
    """Change no table that is there: new ones are made after the upgrades."""


def _respondents(connection: Connection) -> None:
    """Let interviews be found by their respondent; who that is of those that are there is noted later."""
    for column in ("respondent", "external"):
        connection.exec_driver_sql(f"ALTER TABLE sync ADD COLUMN {column} BIGINT")
    connection.exec_driver_sql("UPDATE sync SET respondent = 0 WHERE facts IS NOT NULL")
    sync_respondent.create(connection)
    sync_external.create(connection)
    if inspect(connection).has_table(invitation.name):
        connection.exec_driver_sql("DROP INDEX invitation_person")
        invitation_person.create(connection)


def _standing_launches(connection: Connection) -> None:
    """Let a launch grow with a cohort's webhook, and its people be counted by the day they came."""
    if inspect(connection).has_table(invitation.name):
        connection.exec_driver_sql("ALTER TABLE launch ADD COLUMN standing BOOLEAN NOT NULL DEFAULT false")
        connection.exec_driver_sql("ALTER TABLE invitation ADD COLUMN counted_day INTEGER")
        launch_standing.create(connection)
        invitation_counted.create(connection)


UPGRADES: tuple[Upgrade, ...] = (
    _only_new_tables,  # launches and invitations
    _respondents,  # tokens, the audit log, forgetting
    _standing_launches,  # triggers and hooks, messages of the cohort webhook
    _only_new_tables,  # callbacks
)
"""What changes existing tables: the first brings version 1 to version 2."""

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
    Column("respondent", BigInteger),
    Column("external", BigInteger),
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

sync_respondent = Index(
    "sync_respondent",
    sync.c.respondent,
    sqlite_where=sync.c.respondent.is_not(None),
    postgresql_where=sync.c.respondent.is_not(None),
)

sync_external = Index(
    "sync_external",
    sync.c.external,
    sqlite_where=sync.c.external.is_not(None),
    postgresql_where=sync.c.external.is_not(None),
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

launch = Table(
    "launch",
    metadata,
    Column("id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("phase", Text),
    Column("phase_due", BigInteger),
    Column("goes_on", Boolean, nullable=False),
    Column("single", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("planned_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("pause_reason", Text),
    Column("error", Text),
    Column("words", Text),
    Column("cohort_id", Text),
    Column("cohort_name", Text),
    Column("request_id", Text),
    Column("options", Text, nullable=False),
    Column("members_total", Integer, nullable=False),
    Column("skipped", Text, nullable=False),
    Column("examples", Text),
    Column("planned", Integer, nullable=False),
    Column("standing", Boolean, nullable=False, server_default=false()),
    *(
        Column(name, Integer, nullable=False)
        for name in (
            "waiting",
            "sending",
            "started",
            "completed",
            "expired",
            "failed",
            "in_doubt",
            "cancelled",
        )
    ),
    Index("launch_listed", "connection", "created_at", "id"),
    Index(
        "launch_phase",
        "phase",
        sqlite_where=text("phase IS NOT NULL"),
        postgresql_where=text("phase IS NOT NULL"),
    ),
    Index(
        "launch_open",
        "connection",
        sqlite_where=text("status IN ('running', 'paused')"),
        postgresql_where=text("status IN ('running', 'paused')"),
    ),
)

# one that grows with a cohort's webhook
launch_standing = Index(
    "launch_standing",
    launch.c.connection,
    launch.c.cohort_id,
    launch.c.created_at,
    sqlite_where=launch.c.standing,
    postgresql_where=launch.c.standing,
)

launch_source = Table(
    "launch_source",
    metadata,
    Column("launch_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("members", Text, nullable=False),
)

invitation = Table(
    "invitation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("launch_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("person", BigInteger, nullable=False),
    Column("taken_at", BigInteger),  # null: the person may be invited by another launch
    Column("user_id", Text),
    Column("email", Text),
    Column("name", Text),
    Column("interview_id", Text),
    Column("link", Text),
    Column("session_token", Text),
    Column("reason", Text),
    Column("words", Text),
    Column("sending_since", BigInteger),
    Column("started_at", BigInteger),
    Column("due", BigInteger),
    Column("polls", Integer, nullable=False),
    Column("complete_due", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("pruned_at", BigInteger),
    Column("counted_day", Integer),  # as whose new people of which UTC day: those whom nobody approved
    Index("invitation_listed", "launch_id", "position"),
    Index("invitation_state", "launch_id", "state", "position"),
    Index(
        "invitation_interview",
        "connection",
        "interview_id",
        sqlite_where=text("interview_id IS NOT NULL"),
        postgresql_where=text("interview_id IS NOT NULL"),
    ),
    Index(
        "invitation_due",
        "connection",
        "due",
        sqlite_where=text("due IS NOT NULL"),
        postgresql_where=text("due IS NOT NULL"),
    ),
    Index(
        "invitation_complete_due",
        "connection",
        "complete_due",
        sqlite_where=text("complete_due IS NOT NULL"),
        postgresql_where=text("complete_due IS NOT NULL"),
    ),
    Index(
        "invitation_sending",
        "connection",
        sqlite_where=text("sending_since IS NOT NULL"),
        postgresql_where=text("sending_since IS NOT NULL"),
    ),
    Index(
        "invitation_unpruned",
        "created_at",
        sqlite_where=text("pruned_at IS NULL"),
        postgresql_where=text("pruned_at IS NULL"),
    ),
)

invitation_person = Index("invitation_person", invitation.c.person, invitation.c.taken_at, invitation.c.state)
invitation_counted = Index(
    "invitation_counted",
    invitation.c.connection,
    invitation.c.counted_day,
    sqlite_where=invitation.c.counted_day.is_not(None),
    postgresql_where=invitation.c.counted_day.is_not(None),
)
alias = Table(
    "alias",
    metadata,
    # 64 bits of a keyed hash over connection, kind and value: nothing else is kept of whom we only recognise
    Column("key", _serial, primary_key=True, autoincrement=False),
    Column("person", BigInteger, nullable=False),
    Index("alias_person", "person"),
)

credit = Table(
    "credit",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("n", Integer, nullable=False),
)

download = Table(
    "download",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("lane", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("download_at", "lane", "at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("connection", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("token", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("touched", Text, nullable=False),
    Index("audit_connection", "connection", "id"),  # a page is the newest of a connection,
)

# an entry is written before its operation begins, so that a crash hides nothing; how it ended is a second row
audit_outcome = Table(
    "audit_outcome",
    metadata,
    Column("audit_id", _serial, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("touched", Text, nullable=False),
)

for _kept in (audit, audit_outcome):
    append_only(_kept)

forgetting = Table(
    "forgetting",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("due", BigInteger),  # null: nothing is left to erase
    Column("unset_due", BigInteger),  # not null: user properties are left to be taken back
    Column("received_up_to", BigInteger, nullable=False),
    Column("keys", Text, nullable=False),
    Column("interviews", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("sealed", Text),  # who it is, until it is done
)

event = Table(
    "event",
    metadata,
    Column("number", _serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("told", Text, nullable=False),  # JSON; names nobody
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
    Column("number", _serial, primary_key=True, autoincrement=True),
    Column("hook_id", Text, nullable=False),
    Column("event_number", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("outcome", Text),
    Column("due", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Index(
        "hook_delivery_due",
        "hook_id",
        "due",
        sqlite_where=text("due IS NOT NULL"),
        postgresql_where=text("due IS NOT NULL"),
    ),
    Index("hook_delivery_listed", "hook_id", "number"),
    Index("hook_delivery_event", "event_number"),
)

# a result that somebody waits for at an address of theirs; gone once it was posted
callback = Table(
    "callback",
    metadata,
    Column("id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("answer", Text, nullable=False),  # JSON; names nobody
    Column("target_url", Text, nullable=False),  # sealed
    Column("created_at", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("ready_at", BigInteger),
    Column("tries", Integer, nullable=False),
    Index("callback_due", "due"),
)

token = Table(
    "token",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),  # in hex; the token itself is nowhere
    Column("scopes", Text, nullable=False),  # separated by commas
    Column("connections", Text),  # JSON; null: all
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

# a message of Amplitude's cohort webhook; its people are in the pieces until they are decided over
cohort_message = Table(
    "cohort_message",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("connection", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("cohort_id", Text, nullable=False),
    Column("cohort_name", Text),
    Column("in_cohort", Boolean, nullable=False),
    Column("computed_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("stage", Text, nullable=False),
    Column("held", Boolean, nullable=False),
    Index("cohort_message_once", "connection", "message_id", unique=True),
    Index(
        "cohort_message_open",
        "connection",
        "computed_at",
        "id",
        sqlite_where=text("stage <> 'done'"),
        postgresql_where=text("stage <> 'done'"),
    ),
    Index("cohort_message_received", "received_at"),
)

cohort_piece = Table(
    "cohort_piece",
    metadata,
    Column("message", _serial, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True),
    Column("members", Text, nullable=False),
)

# when a cohort was computed that last told of somebody, who is only an alias's keyed hash
cohort_told = Table(
    "cohort_told",
    metadata,
    Column("key", _serial, primary_key=True, autoincrement=False),
    Column("cohort_id", Text, primary_key=True),
    Column("computed_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("cohort_told_updated", "updated_at"),
)
