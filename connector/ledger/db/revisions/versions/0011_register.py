"""Store with an invitation its person in the register of asking, over all connections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column and its index; the connector, which has the keys, records earlier invitations itself."""
    op.add_column("invitation", sa.Column("register", sa.BigInteger))
    recorded = sa.text("register IS NOT NULL")
    columns = ["register", "taken_at"]
    op.create_index(
        "invitation_register", "invitation", columns, sqlite_where=recorded, postgresql_where=recorded
    )
