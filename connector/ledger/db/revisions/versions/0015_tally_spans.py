"""Count what synced interviews say also by 8 and 64 days, so that reports of long periods read few cells."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_COUNT = sa.text(
    "INSERT INTO tally (connection, kind, days, day, subject, value, n) SELECT connection, kind, "
    "CAST(:days AS BIGINT), day - (day % :days + :days) % :days, subject, value, sum(n) "
    "FROM tally_of_days GROUP BY connection, kind, 4, subject, value"
)


def upgrade() -> None:
    """Count the days that are there in spans of each size."""
    op.execute("CREATE TEMPORARY TABLE tally_of_days AS SELECT * FROM tally")
    op.drop_table("tally")
    op.create_table(
        "tally",
        sa.Column("connection", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("days", sa.BigInteger, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    few = sa.text("n < 5")
    op.create_index("tally_few", "tally", ["day"], sqlite_where=few, postgresql_where=few)
    for days in (1, 8, 64):
        op.execute(_COUNT.bindparams(days=days))
    op.execute("DROP TABLE tally_of_days")
