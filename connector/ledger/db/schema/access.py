"""The tables of access: tokens, grants, the audit log, answers to repeated requests, and sealed keys."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, Table, Text, event

from connector.ledger.db.schema.base import metadata, serial

token = Table(
    "token",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),  # in hex; the token itself is not stored
    Column("scopes", Text, nullable=False),  # separated by commas
    Column("connections", Text),  # JSON; null: all
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("used_at", BigInteger),  # to the hour
)

console_session = Table(
    "console_session",
    metadata,
    Column("sha256", Text, primary_key=True),  # in hex, of the cookie or of a link's code
    Column("token_sha256", Text, nullable=False),  # of the token that signed in: the session ends with it
    Column("is_link", Boolean, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

oauth_client = Table(
    "oauth_client",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("redirect_uris", Text, nullable=False),  # JSON
    Column("created_at", BigInteger, nullable=False),
)

# a grant that has ended is deleted
oauth_grant = Table(
    "oauth_grant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("client_name", Text, nullable=False),
    Column("token_name", Text, nullable=False),
    Column("token_sha256", Text, nullable=False),  # of the token that signed in: the grant ends with it
    Column("scopes", Text, nullable=False),  # separated by commas, as the connections
    Column("connections", Text, nullable=False),
    Column("challenge", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),  # to the hour
    Index("oauth_grant_client", "client_id"),
)

# codes, access tokens and refresh tokens; one that was spent stays, so that a second use is seen
oauth_secret = Table(
    "oauth_secret",
    metadata,
    Column("sha256", Text, primary_key=True),  # in hex
    Column("grant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("spent_at", BigInteger),
    Index("oauth_secret_grant", "grant_id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("connection", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("token", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("touched", Text, nullable=False),
    Index("audit_connection", "connection", "id"),  # a page is the newest entries of a connection
)

# an entry is written before its operation begins, so that a crash hides nothing; how it ended is a second row
audit_outcome = Table(
    "audit_outcome",
    metadata,
    Column("audit_id", serial, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("touched", Text, nullable=False),
)


def _refuse_changes(table: Table, c: Connection, **_: object) -> None:
    """Let the database itself refuse to change a table of the audit log."""
    if c.dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            c.exec_driver_sql(
                f"CREATE TRIGGER {table.name}_no_{change.lower()} BEFORE {change} ON {table.name} "
                f"BEGIN SELECT RAISE(ABORT, '{table.name} is append-only'); END"
            )
        return
    c.exec_driver_sql(
        f"CREATE OR REPLACE FUNCTION {table.name}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table.name} is append-only'; END $$"
    )
    c.exec_driver_sql(
        f"CREATE TRIGGER {table.name}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table.name} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table.name}_refuse()"
    )


for _table in (audit, audit_outcome):
    event.listen(_table, "after_create", _refuse_changes)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("token", Text),
    Column("until", BigInteger, nullable=False),
    Column("status", Integer),
    Column("body", Text),
    Column("created_at", BigInteger, nullable=False),
    Index("idempotency_created", "created_at"),
)

secret = Table(
    "secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
)
