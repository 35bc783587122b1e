"""Count what synced interviews say, for reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the table: it counts interviews that are synced from now on."""
    op.create_table(
        "tally",
        sa.Column("connection", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    few = sa.text("n < 5")
    op.create_index("tally_few", "tally", ["day"], sqlite_where=few, postgresql_where=few)
