"""Runs revisions over the connection that its caller opened and locked."""

from __future__ import annotations

from alembic import context

from connector.ledger.db.migrations import STORED
from connector.ledger.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=STORED.name,
    render_as_batch=True,  # SQLite changes a column by copying its table
)
context.run_migrations()
