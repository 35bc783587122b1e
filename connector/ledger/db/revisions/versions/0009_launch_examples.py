"""Find the launches that show skipped people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the index."""
    shown = sa.text("examples IS NOT NULL")
    op.create_index("launch_examples", "launch", ["id"], sqlite_where=shown, postgresql_where=shown)
