"""Store the interviews of a run until a worker begins them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("run", sa.Column("step", sa.Text))
    op.create_table(
        "run_source",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("interviews", sa.Text, nullable=False),
    )
