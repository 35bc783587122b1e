"""Name tables and columns for what they hold."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_COLUMNS = (
    ("launch", "words", "message"),
    ("invitation", "words", "message"),
    ("lane", "pause_words", "pause_message"),
    ("event", "told", "payload"),
    ("sync", "given", "from_call"),
)
_TABLES = {
    "answer": "idempotency",
    "budget": "rate_limit",
    "cohort_told": "cohort_mention",
    "forgetting": "erasure",
    "note": "diagnostic",
}
_INDEXES = (
    ("answer_created", "idempotency_created", "idempotency", ["created_at"]),
    ("cohort_told_updated", "cohort_mention_updated", "cohort_mention", ["updated_at"]),
    ("note_kind", "diagnostic_kind", "diagnostic", ["connection", "kind", "id"]),
)


def upgrade() -> None:
    """Rename them, their indexes and sequences, and the lane of the worker that erases."""
    for table, old, new in _COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    for old, new in _TABLES.items():
        op.rename_table(old, new)
    for old, new, table, columns in _INDEXES:  # SQLite renames no index
        op.drop_index(old)
        op.create_index(new, table, columns)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER SEQUENCE note_id_seq RENAME TO diagnostic_id_seq")
        for old, new in _TABLES.items():
            op.execute(f"ALTER INDEX {old}_pkey RENAME TO {new}_pkey")
    op.execute("UPDATE lane SET name = 'erasure' WHERE name = 'forgetting'")
