"""Store the scopes of a callback's caller, and the items of a run until a worker does them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns and the table: a callback from before is posted without people."""
    op.add_column("callback", sa.Column("scopes", sa.Text))
    op.add_column("run", sa.Column("step", sa.Text))
    op.create_table(
        "run_source",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("interviews", sa.Text, nullable=False),
    )
