"""Store the failed attempts of workers for every process, and the calls that interactive callers reserve."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table, and add the column."""
    reserved = sa.Column("reserved_until", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("rate_limit", reserved)
    op.create_table(
        "fault",
        sa.Column("worker", sa.Text, primary_key=True),
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("connection", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger),
    )
