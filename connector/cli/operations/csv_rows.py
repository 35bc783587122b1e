"""Write the rows of an answer as CSV or JSON lines: invitations with their links, or the items of a list."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from connector.context import Context
from connector.errors import InvalidInput
from connector.service.execution.operation import AnyOperation, ListInput, Output
from connector.text.cells import cell
from connector.text.json import dumps

if TYPE_CHECKING:
    from connector.service.execution.execute import Executed

ROW_FORMATS = ("csv", "jsonl")
_ROWS = ("invitations", "items")
_LARGEST_PAGE = 500


def has_rows(op: AnyOperation) -> bool:
    """Tell whether an operation answers with rows, page by page."""
    fields = getattr(op.output, "model_fields", {})
    return issubclass(op.input, ListInput) and any(name in fields for name in _ROWS)


async def with_all_pages(ctx: Context, op: AnyOperation, payload: Any, first: Executed) -> Executed:
    """Return an answer with the rows of all pages, unless the caller asked for one page."""
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


def as_text(answer: Mapping[str, Any], form: str) -> str:
    """Return the rows of an answer (JSON values) as CSV with a header row, or as one JSON object a line.

    In CSV, an apostrophe precedes text that a spreadsheet would take for a formula, and control characters
    are replaced: names come from outside.
    """
    rows = answer.get(_name_of(answer)) or []
    if form == "jsonl":
        return "".join(f"{dumps(row)}\n" for row in rows)
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _name_of(fields: Any) -> str:
    for name in _ROWS:
        if name in fields:
            return name
    raise InvalidInput.of("output", "this answer has no rows to write; take json")
