"""The tables of people: which addresses are one person, and erasures."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from connector.ledger.db.schema.base import metadata, serial

alias = Table(
    "alias",
    metadata,
    # 64 bits of a keyed hash over connection, kind and value: nothing else is kept of a person
    Column("key", serial, primary_key=True, autoincrement=False),
    Column("person", BigInteger, nullable=False),
    Index("alias_person", "person"),
)

erasure = Table(
    "erasure",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("due", BigInteger),  # null: nothing is left to erase
    Column("unset_due", BigInteger),  # not null: user properties are left to be taken back
    Column("received_up_to", BigInteger, nullable=False),
    Column("keys", Text, nullable=False),
    Column("interviews", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("sealed", Text),  # the person's addresses, until the erasure has ended
)
