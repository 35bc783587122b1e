"""Hold people of a launch for a later wave."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns and their indexes."""
    op.add_column("launch", sa.Column("wave_due", sa.BigInteger))
    op.add_column("launch", sa.Column("next_wave_at", sa.BigInteger))
    op.add_column("invitation", sa.Column("held", sa.Boolean))
    due, held = sa.text("wave_due IS NOT NULL"), sa.text("held")
    columns = ["connection", "wave_due"]
    op.create_index("launch_waves", "launch", columns, sqlite_where=due, postgresql_where=due)
    columns = ["launch_id", "cell", "draw"]
    op.create_index("invitation_held", "invitation", columns, sqlite_where=held, postgresql_where=held)
