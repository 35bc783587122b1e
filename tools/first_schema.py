"""Make a database with the schema of the first release, which later revisions upgrade."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert

from connector.ledger.db.migrations import STORED

_TYPES = {
    "sqlite": {"serial": "INTEGER", "bigint": "INTEGER"},
    "postgresql": {"serial": "BIGSERIAL", "bigint": "BIGINT"},
}


def make_first_schema(c: Connection) -> None:
    """Make every table, index and trigger of revision 0001; the text never changes after the release."""
    tables = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    for statement in tables.rstrip("; \n").format(**_TYPES[c.dialect.name]).split(";\n"):
        c.exec_driver_sql(statement)
    for table in ("audit", "audit_outcome"):
        _refuse_changes(c, table)
    STORED.create(c)
    c.execute(insert(STORED).values(version_num="0001"))


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
