"""Mark the events that the owner is alerted to; keep no upstream's words with a pause."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the mark and its index, and drop the words: what happened before is told to no one."""
    op.drop_column("connection_pause", "message")
    op.add_column("event", sa.Column("alert", sa.Boolean))
    marked = sa.text("alert IS NOT NULL")
    op.create_index("event_alert", "event", ["number"], sqlite_where=marked, postgresql_where=marked)
