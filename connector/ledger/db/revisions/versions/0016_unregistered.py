"""Find invitations from before the register without a look at every other one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the index."""
    left = sa.text("register IS NULL AND pruned_at IS NULL")
    op.create_index("invitation_unregistered", "invitation", ["id"], sqlite_where=left, postgresql_where=left)
