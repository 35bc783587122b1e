"""Find launches that are not pruned yet, and erased webhooks whose ids tell when they came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add a column and two indexes."""
    op.add_column("launch", sa.Column("pruned_at", sa.BigInteger))
    left = sa.text("pruned_at IS NULL")
    op.create_index("launch_unpruned", "launch", ["created_at"], sqlite_where=left, postgresql_where=left)
    erased = sa.text("body IS NULL AND received_at % 86400000 = 0 AND id > 0")
    op.create_index("inbox_erased", "inbox", ["id"], sqlite_where=erased, postgresql_where=erased)
