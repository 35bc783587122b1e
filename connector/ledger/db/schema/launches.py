"""The tables of launches: invitations, their credits, and messages of Amplitude's cohort webhook."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, Table, Text, false

from connector.ledger.db.schema.base import metadata, partial_index, serial

_COUNTED = "waiting", "sending", "started", "completed", "expired", "failed", "in_doubt", "cancelled"

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
    Column("message", Text),
    Column("cohort_id", Text),
    Column("cohort_name", Text),
    Column("request_id", Text),
    Column("options", Text, nullable=False),
    Column("members_total", Integer, nullable=False),
    Column("skipped", Text, nullable=False),
    Column("examples", Text),
    Column("planned", Integer, nullable=False),
    Column("standing", Boolean, nullable=False, server_default=false()),  # it grows with a cohort's webhook
    *(Column(state, Integer, nullable=False) for state in _COUNTED),
    Column("with_email", Integer, nullable=False, server_default="0"),
    Column("bad_emails", Integer, nullable=False, server_default="0"),
    Column("carried", Text),  # names of properties
    Index("launch_listed", "connection", "created_at", "id"),
    partial_index("launch_phase", "phase", where="phase IS NOT NULL"),
    partial_index("launch_open", "connection", where="status IN ('running', 'paused')"),
    partial_index("launch_standing", "connection", "cohort_id", "created_at", where="standing"),
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
    Column("message", Text),
    Column("sending_since", BigInteger),
    Column("started_at", BigInteger),
    Column("due", BigInteger),
    Column("polls", Integer, nullable=False),
    Column("complete_due", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("pruned_at", BigInteger),
    Column("counted_day", Integer),  # the UTC day on which a person counts as new who joined without approval
    Column("scatter", SmallInteger),  # see connector.ledger.people.scatter
    partial_index("invitation_scatter", "scatter", where="scatter IS NOT NULL"),
    Index("invitation_listed", "launch_id", "position"),
    Index("invitation_state", "launch_id", "state", "position"),
    partial_index("invitation_interview", "connection", "interview_id", where="interview_id IS NOT NULL"),
    partial_index("invitation_due", "connection", "due", where="due IS NOT NULL"),
    partial_index("invitation_complete_due", "connection", "complete_due", where="complete_due IS NOT NULL"),
    partial_index("invitation_sending", "connection", where="sending_since IS NOT NULL"),
    Index("invitation_person", "person", "taken_at", "state"),
    partial_index("invitation_counted", "connection", "counted_day", where="counted_day IS NOT NULL"),
    partial_index("invitation_unpruned", "created_at", where="pruned_at IS NULL"),
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
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("lane", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("download_at", "lane", "at"),
)

# a message of Amplitude's cohort webhook; the pieces hold its members until they are planned
cohort_message = Table(
    "cohort_message",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("connection", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("cohort_id", Text, nullable=False),
    Column("cohort_name", Text),
    Column("in_cohort", Boolean, nullable=False),
    Column("computed_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("stage", Text, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("carried", Text),  # names of properties
    Index("cohort_message_once", "connection", "message_id", unique=True),
    partial_index("cohort_message_open", "connection", "computed_at", "id", where="stage <> 'done'"),
    Index("cohort_message_received", "received_at"),
)

cohort_piece = Table(
    "cohort_piece",
    metadata,
    Column("message", serial, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True),
    Column("members", Text, nullable=False),
)

# when the cohort was computed that last named a person, who is only an alias's keyed hash
cohort_mention = Table(
    "cohort_mention",
    metadata,
    Column("key", serial, primary_key=True, autoincrement=False),
    Column("cohort_id", Text, primary_key=True),
    Column("computed_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("cohort_mention_updated", "updated_at"),
)
