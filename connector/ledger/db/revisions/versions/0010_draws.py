"""Store the place of a person in the sample of a launch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column and its index: people who were invited before keep the cohort's order."""
    op.add_column("invitation", sa.Column("draw", sa.BigInteger))
    drawn = sa.text("draw IS NOT NULL")
    columns = ["launch_id", "state", "draw"]
    op.create_index("invitation_draw", "invitation", columns, sqlite_where=drawn, postgresql_where=drawn)
