"""What all tables share."""

from __future__ import annotations

from collections.abc import Collection
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Text, text

metadata: Final = MetaData()
serial: Final = BigInteger().with_variant(Integer, "sqlite")
"""64 bits that a database may count up: SQLite does so for the type INTEGER alone."""

_TYPES: Final = {int: BigInteger, bool: Boolean}


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return an index over the rows that meet a condition."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def columns_of(
    stored: type, *, key: Collection[str] = (), without: Collection[str] = ()
) -> list[Column[Any]]:
    """Return a column for each field of a named tuple or dataclass whose values are the rows of a table.

    A number becomes a BigInteger, a truth value a Boolean, and everything else, such as an enum or JSON, a
    Text. A field that may be None, or is a tuple, which may be empty, can be null.
    """
    columns: list[Column[Any]] = []
    for name, hint in get_type_hints(stored).items():
        if name not in without:
            alternatives = get_args(hint) if NoneType in get_args(hint) else (hint,)
            kind = next((_TYPES[one] for one in alternatives if one in _TYPES), Text)
            null = NoneType in alternatives or get_origin(hint) is tuple
            columns.append(Column(name, kind, primary_key=name in key, nullable=null))
    return columns
