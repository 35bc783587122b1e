"""Store the value of the property by which a launch shows who answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns: launches from before have no segments."""
    op.add_column("launch", sa.Column("cohort_segments", sa.Text))
    op.add_column("invitation", sa.Column("segment", sa.Text))
