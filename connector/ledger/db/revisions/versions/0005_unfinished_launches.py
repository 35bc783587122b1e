"""Index plans beside the launches that run or are paused, so that an overview finds all three."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Replace the index of open launches."""
    op.drop_index("launch_open", "launch")
    unfinished = sa.text("status IN ('paused', 'planned', 'running')")
    op.create_index(
        "launch_unfinished", "launch", ["connection"], sqlite_where=unfinished, postgresql_where=unfinished
    )
