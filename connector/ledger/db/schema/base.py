"""What all tables share."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Index, Integer, MetaData, text

metadata: Final = MetaData()
serial: Final = BigInteger().with_variant(Integer, "sqlite")
"""64 bits that a database may count up: SQLite does so for the type INTEGER alone."""


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return an index over the rows that meet a condition."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
