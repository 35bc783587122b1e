"""Store the value of a quota's property with an invitation, and how many people have each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns: launches from before have no quota."""
    op.add_column("invitation", sa.Column("cell", sa.Text))
    op.add_column("launch", sa.Column("available", sa.Text))
