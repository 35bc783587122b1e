"""An operation's input model as flags."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from connector.cli.arguments import Parser
from connector.cli.operations.rows import ROW_FORMATS, has_rows
from connector.service.execution.operation import (
    AnyOperation,
    Effect,
    EffectInput,
    Input,
    WaitInput,
)
from connector.service.input.annotations import is_list, is_mapping, kinds

ROW_FILES = frozenset({"members"})
TEXT_FILES = frozenset({"csv"})
PREFIX = "field_"
_COMMON = (
    frozenset(EffectInput.model_fields) | frozenset(WaitInput.model_fields) | frozenset(Input.model_fields)
)
_METAVARS = {int: "N", float: "NUMBER", str: "TEXT"}
_WAIT = (
    "Watch at most so many seconds, 0 not at all; without it, until the end. The rest goes on with `serve`."
)


def operation_parser(op: AnyOperation) -> Parser:
    """Return the parser of one operation: a flag per field, and how to give input and get output."""
    name = op.name.replace("_", "-")
    parser = Parser(name, f"{op.title}.\n\n" + textwrap.fill(op.summary, 78))
    own = parser.add_argument_group("fields")
    common = parser.add_argument_group("for every call")
    for field_name, field in op.input.model_fields.items():
        _add(common if field_name in _COMMON else own, field_name, field, op)
    common.add_argument(
        "--json",
        metavar="FILE",
        help="Take fields from a JSON object in a file, or from standard input with -.",
    )
    common.add_argument(
        "--output",
        choices=["table", "json", *(ROW_FORMATS if has_rows(op) else [])],
        default="table",
        help="How to print the answer (default table).",
    )
    if op.effect in (Effect.SEND, Effect.ERASE):
        common.add_argument("--yes", action="store_true", help="Do not ask first.")
    return parser


def flag(name: str) -> str:
    """Return the flag of a field."""
    return "--" + name.replace("_", "-")


def _add(group: argparse._ArgumentGroup, name: str, field: FieldInfo, op: AnyOperation) -> None:
    wanted = kinds(field.annotation)
    help_text = _help(name, field, wanted, op).replace("%", "%%")
    if wanted == [bool]:
        action: Any = "store_true" if field.default is False else argparse.BooleanOptionalAction
        group.add_argument(flag(name), dest=PREFIX + name, action=action, default=None, help=help_text)
    else:
        group.add_argument(
            flag(name), dest=PREFIX + name, action="append", metavar=_metavar(name, wanted), help=help_text
        )


def _help(name: str, field: FieldInfo, wanted: list[Any], op: AnyOperation) -> str:
    if name == "wait_seconds" and issubclass(op.input, WaitInput):
        return _WAIT
    words = field.description or ""
    if name in TEXT_FILES:
        words += " A file, or - for standard input."
    elif name in ROW_FILES:
        words += " A CSV file with the columns user_id, email and name; or JSON text, or @FILE."
    elif any(is_list(kind) for kind in wanted):
        words += " Repeat the flag, or separate by commas; @FILE reads a file, one a line."
    elif any(is_mapping(kind) for kind in wanted):
        words += " JSON text, or @FILE."
    if field.is_required():
        return f"{words} Required."
    shown = field.default not in (None, False, PydanticUndefined) and not isinstance(
        field.default, list | dict
    )
    return f"{words} (default {field.default})" if shown else words


def _metavar(name: str, wanted: list[Any]) -> str:
    if name in TEXT_FILES or name in ROW_FILES:
        return "FILE"
    if any(get_origin(kind) is Literal for kind in wanted):
        return "{" + ",".join(str(value) for kind in wanted for value in get_args(kind)) + "}"
    if any(is_mapping(kind) for kind in wanted):
        return "JSON"
    if name.endswith("_id") or name == "cursor":
        return "ID" if name.endswith("_id") else "CURSOR"
    return next((_METAVARS[kind] for kind in wanted if kind in _METAVARS), "TEXT")
