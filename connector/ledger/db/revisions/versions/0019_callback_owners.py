"""Store whose a callback is, and which host it goes to, so that no host and no caller delays the others'."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the columns: callbacks from before count as those of one caller to one host."""
    op.add_column("callback", sa.Column("token", sa.Text))
    op.add_column("callback", sa.Column("host", sa.Text))
