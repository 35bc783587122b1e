"""One SQL statement over many rows, and many rows as one result.

Python's `sqlite3` releases the interpreter for every row that it steps over. While the event loop is busy,
each release costs the writer's thread milliseconds. Therefore rows go in as one VALUES list and come out as
one JSON text.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Boolean, Connection, Integer, Select, Table, Text, func, select
from sqlalchemy.exc import DBAPIError

from connector.text.json import loads_64_bits

Row = Sequence[Any]
_TYPES: Final = {Text: "text", BigInteger: "bigint", Integer: "integer", Boolean: "boolean"}
_SQLITE_ROWS_AT_ONCE: Final = 256
_PORTION: Final = 1_000_000  # characters
# jsonb is parsed once, json once for every column
_POSTGRES_ROWS: Final = "(SELECT {picked} FROM jsonb_array_elements(CAST(%(rows)s AS jsonb)))"
_SQLITE_ROWS: Final = "(SELECT {picked} FROM (VALUES {values}))"


class BulkStatement:
    """A statement for both databases, made once.

    In `template`, `{names}` stands for the columns, `{rows}` for a derived table of them and `{changes}` for
    the assignments of those that are not in `key`. In a query, `{returns}` stands for the result columns, and
    `{lock}` for the clause that locks rows of the table `s`, in the order of `lock`, until the transaction
    ends (on PostgreSQL: SQLite has one writer). Column types are `text`, `bigint`, `integer` and `boolean`;
    only PostgreSQL needs them. `at_once` is how many rows one statement takes on SQLite, a power of two: each
    statement waits once for a busy interpreter.
    """

    def __init__(
        self,
        template: str,
        columns: Mapping[str, str],
        *,
        key: Collection[str] = (),
        returns: Sequence[str] = (),
        lock: str = "s.connection, s.interview_id",
        at_once: int = _SQLITE_ROWS_AT_ONCE,
    ) -> None:
        changes = ", ".join(f"{name} = r.{name}" for name in columns if name not in key)
        template = template.replace("{names}", ", ".join(columns)).replace("{changes}", changes)
        shown = ", ".join(returns)
        self._postgres = (
            template.replace("{rows}", _postgres_rows(columns))
            .replace("{returns}", shown)
            .replace("{lock}", f"ORDER BY {lock} FOR UPDATE OF s")
        )
        self._template, self._columns, self._shown = template, columns, shown
        # few sizes, so that the driver keeps each prepared
        self._sizes = [1 << power for power in reversed(range(at_once.bit_length()))]
        self._sqlite: dict[int, str] = {}

    def execute(self, c: Connection, values: Sequence[Row]) -> int:
        """Run the statement over rows in the order of the columns; return how many rows it changed."""
        if c.dialect.name == "sqlite":
            return sum(cursor.rowcount for cursor in self._on_sqlite(c, values))
        return c.exec_driver_sql(self._postgres, {"rows": _json(values)}).rowcount

    def fetch(self, c: Connection, values: Sequence[Row]) -> list[Row]:
        """Run the query over rows in the order of the columns; return rows in the order of `returns`."""
        if c.dialect.name == "sqlite":
            cursors = self._on_sqlite(c, values)
            return [row for cursor in cursors for row in loads_64_bits(cursor.fetchone()[0])]
        return list(c.exec_driver_sql(self._postgres, {"rows": _json(values)}))

    def _on_sqlite(self, c: Connection, values: Sequence[Row]) -> Iterator[sqlite3.Cursor]:
        """Run it on the driver: a batch is several statements, and SQLAlchemy's work for each costs more."""
        execute = cast("sqlite3.Connection", c.connection.driver_connection).execute
        start = 0
        for size in self._sizes:
            while len(values) - start >= size:
                flat = tuple([value for row in values[start : start + size] for value in row])
                try:
                    yield execute(self._of_size(size), _bindable(flat))
                except sqlite3.Error as error:
                    raise DBAPIError.instance(
                        None, None, error, sqlite3.Error, hide_parameters=True, dialect=c.dialect
                    ) from error
                start += size

    def _of_size(self, size: int) -> str:
        if size not in self._sqlite:
            self._sqlite[size] = (
                self._template.replace("{rows}", _sqlite_rows(self._columns, size))
                .replace("{returns}", f"json_group_array(json_array({self._shown}))")
                .replace("{lock}", "")
            )
        return self._sqlite[size]


def types_of(table: Table, *names: str) -> dict[str, str]:
    """Return columns of a table with their types, as a `BulkStatement` takes them."""
    return {name: _TYPES[type(table.c[name].type)] for name in names}


def fetch(c: Connection, query: Select[Any]) -> list[Row]:
    """Return the rows of a query in its order; from SQLite as one JSON text."""
    if c.dialect.name != "sqlite":
        return list(c.execute(query))
    rows = query.subquery()
    return list(
        loads_64_bits(c.execute(select(func.json_group_array(func.json_array(*rows.c)))).scalar_one())
    )


def portions(texts: Sequence[str]) -> list[list[tuple[int, str]]]:
    """Return texts with their positions, in lists as large as one transaction may be; at least one list.

    Webhooks wait for every transaction.
    """
    parts: list[list[tuple[int, str]]] = [[]]
    size = 0
    for position, text in enumerate(texts):
        if size > _PORTION:
            parts.append([])
            size = 0
        parts[-1].append((position, text))
        size += len(text)
    return parts


def storable(value: Any) -> Any:
    """Return a text as both databases can hold it; anything else as it is.

    PostgreSQL's text takes neither NUL nor half of a surrogate pair: U+FFFD stands for them.
    """
    if not isinstance(value, str):
        return value
    whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\ufffd")


def are_storable(values: Iterable[Any]) -> bool:
    """Tell whether values are stored as they are."""
    texts = "".join([value for value in values if isinstance(value, str)])
    return "\0" not in texts and _is_whole(texts)


def _postgres_rows(columns: Mapping[str, str]) -> str:
    picked = (f"CAST(value ->> {at} AS {kind}) AS {name}" for at, (name, kind) in enumerate(columns.items()))
    return _POSTGRES_ROWS.replace("{picked}", ", ".join(picked))


def _sqlite_rows(columns: Collection[str], size: int) -> str:
    picked = ", ".join(f"column{at} AS {name}" for at, name in enumerate(columns, 1))
    row = f"({', '.join('?' * len(columns))})"
    return _SQLITE_ROWS.replace("{picked}", picked).replace("{values}", ", ".join([row] * size))


def _json(values: Sequence[Row]) -> str:
    encoded = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    if "\\u0000" in encoded or not _is_whole(encoded):
        return json.dumps([[storable(value) for value in row] for row in values], ensure_ascii=False)
    return encoded


def _bindable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return values if are_storable(values) else tuple(map(storable, values))


def _is_whole(value: str) -> bool:
    """Tell whether a text has no half of a surrogate pair."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
