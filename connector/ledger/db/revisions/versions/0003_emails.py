"""Count the e-mail addresses of a launch's members, and name the properties that they have."""

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
