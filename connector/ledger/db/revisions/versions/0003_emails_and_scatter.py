"""Count the e-mail addresses of a launch's members; mark rows that are to be written anew apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; of earlier launches it is not known who had no address."""
    for name in ("with_email", "bad_emails"):
        op.add_column("launch", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    for table in ("launch", "cohort_message"):
        op.add_column(table, sa.Column("carried", sa.Text))
    op.execute("UPDATE launch SET with_email = members_total")
    for table in ("sync", "invitation"):
        op.add_column(table, sa.Column("scatter", sa.SmallInteger))
        op.create_index(
            f"{table}_scatter",
            table,
            ["scatter"],
            sqlite_where=sa.text("scatter IS NOT NULL"),
            postgresql_where=sa.text("scatter IS NOT NULL"),
        )
