"""Find launches that are not pruned yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the column and its index."""
    op.add_column("launch", sa.Column("pruned_at", sa.BigInteger))
    left = sa.text("pruned_at IS NULL")
    op.create_index("launch_unpruned", "launch", ["created_at"], sqlite_where=left, postgresql_where=left)
