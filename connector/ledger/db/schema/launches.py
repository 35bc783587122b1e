"""The tables of launches: invitations, their credits, and messages of Amplitude's cohort webhook."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, Table, Text

from connector.domain.launches.cohort_message import CohortMessage
from connector.domain.launches.launch import Invitation, Launch
from connector.ledger.db.schema.base import columns_of, metadata, partial_index, serial

launch = Table(
    "launch",
    metadata,
    *columns_of(Launch, key=["id"]),
    Column("pruned_at", BigInteger),
    Index("launch_listed", "connection", "created_at", "id"),
    partial_index("launch_phase", "phase", where="phase IS NOT NULL"),
    partial_index("launch_unfinished", "connection", where="status IN ('paused', 'planned', 'running')"),
    partial_index("launch_examples", "id", where="examples IS NOT NULL"),
    partial_index("launch_unpruned", "created_at", where="pruned_at IS NULL"),
    partial_index("launch_waves", "connection", "wave_due", where="wave_due IS NOT NULL"),
    partial_index("launch_standing", "connection", "cohort_id", "created_at", where="standing"),
)

launch_source = Table(
    "launch_source",
    metadata,
    Column("launch_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("members", Text, nullable=False),
)

_LATER = (
    "draw",
    "register",
    "cell",
    "held",
    "segment",
)  # columns that stand at the end, where an upgrade adds them
invitation = Table(
    "invitation",
    metadata,
    *columns_of(Invitation, key=["id"], without=_LATER),
    Column("pruned_at", BigInteger),
    Column("counted_day", Integer),  # the UTC day on which a person counts as new who joined without approval
    Column("scatter", SmallInteger),  # see connector.ledger.people.scatter
    Column("draw", BigInteger),
    Column("register", BigInteger),
    Column("cell", Text),
    Column("held", Boolean),
    Column("segment", Text),
    partial_index("invitation_held", "launch_id", "cell", "draw", where="held"),
    partial_index("invitation_register", "register", "taken_at", where="register IS NOT NULL"),
    partial_index("invitation_unregistered", "id", where="register IS NULL AND pruned_at IS NULL"),
    partial_index("invitation_scatter", "scatter", where="scatter IS NOT NULL"),
    Index("invitation_listed", "launch_id", "position"),
    Index("invitation_state", "launch_id", "state", "position"),
    partial_index("invitation_draw", "launch_id", "state", "draw", where="draw IS NOT NULL"),
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
    *columns_of(CohortMessage, without=["id"]),
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
