"""Make the schema of the first release, as the models described it then."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import Connection

revision = "0001"
down_revision = None

_TYPES = {
    "sqlite": {"serial": "INTEGER", "bigint": "INTEGER", "false": "0"},
    "postgresql": {"serial": "BIGSERIAL", "bigint": "BIGINT", "false": "false"},
}


def upgrade() -> None:
    """Make every table and index, and let the database itself refuse to change the audit log."""
    c = op.get_bind()
    tables = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    for statement in tables.rstrip("; \n").format(**_TYPES[c.dialect.name]).split(";\n"):
        c.exec_driver_sql(statement)
    for table in ("audit", "audit_outcome"):
        _refuse_changes(c, table)


def _refuse_changes(c: Connection, table: str) -> None:
    if c.dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            c.exec_driver_sql(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    c.exec_driver_sql(
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    c.exec_driver_sql(
        f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"
    )
