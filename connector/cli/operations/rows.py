"""An answer's rows as CSV or JSON lines: invitations with their links, or the items of a list."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connector.cli.operations.flags import ROWS
from connector.context import Context
from connector.errors import InvalidInput
from connector.service.execution.execute import Executed
from connector.service.execution.operation import AnyOperation, Output

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LARGEST_PAGE = 500


async def with_all_pages(ctx: Context, op: AnyOperation, payload: Any, first: Executed) -> Executed:
    """Return an answer with the rows of all pages, unless a page was asked for."""
    name = _name_of(op.output.model_fields)
    output: Any = first.output
    rows = list(getattr(output, name))
    if not {"limit", "cursor"} & payload.model_fields_set:
        while output.has_more:
            more = payload.model_copy(update={"cursor": output.next_cursor, "limit": _LARGEST_PAGE})
            output = await op.run(ctx, more)
            rows += getattr(output, name)
    whole: Output = output.model_copy(update={name: rows})
    return replace(first, output=whole)


def as_csv(answer: Mapping[str, Any]) -> str:
    """Return the rows of an answer (JSON values) as CSV with a header row.

    Text that a spreadsheet would take for a formula begins with an apostrophe: names come from strangers.
    """
    rows = answer.get(_name_of(answer)) or []
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def as_json_lines(answer: Mapping[str, Any]) -> str:
    """Return the rows of an answer (JSON values), one JSON object a line."""
    rows = answer.get(_name_of(answer)) or []
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)


def _name_of(fields: Any) -> str:
    for name in ROWS:
        if name in fields:
            return name
    raise InvalidInput.of("output", "this answer has no rows to write; take json")


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
