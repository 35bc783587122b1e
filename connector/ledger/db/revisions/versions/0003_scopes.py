"""Store the scopes of a callback's caller."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column: what waits from before is posted without people."""
    op.add_column("callback", sa.Column("scopes", sa.Text))
