"""Store which token made a subscription."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the column: subscriptions from before show their secret to no token."""
    op.add_column("hook", sa.Column("token", sa.Text))
