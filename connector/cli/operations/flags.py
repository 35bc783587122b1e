"""An operation as a command: a flag for each field of its input, and how to give input and get output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from connector.cli.arguments import Command, Flag, completing, dashed
from connector.cli.startup import connection_names
from connector.service.execution.operation import (
    AnyOperation,
    Effect,
    EffectInput,
    Input,
    ListInput,
    WaitInput,
)
from connector.service.input.annotations import is_list, is_mapping, kinds

ROW_FILES = frozenset({"members"})
TEXT_FILES = frozenset({"csv"})
ROW_FORMATS = ("csv", "jsonl")
ROWS = ("invitations", "items")
_PREFIX = "field_"
_OWN, _EVERY = "fields", "for every call"
_COMMON = (
    frozenset(EffectInput.model_fields) | frozenset(WaitInput.model_fields) | frozenset(Input.model_fields)
)
_METAVARS = {int: "N", float: "NUMBER", str: "TEXT"}
_WAIT = (
    "Watch at most so many seconds, 0 not at all; without it, until the end. The rest goes on with `serve`."
)


def operation_command(op: AnyOperation, run: Callable[..., int]) -> Command:
    """Return the command of one operation; `run` is called as `run.run_operation` is."""
    fields = op.input.model_fields
    flags = [_flag(op, name, field, _OWN) for name, field in fields.items() if name not in _COMMON]
    flags += [_flag(op, name, field, _EVERY) for name, field in fields.items() if name in _COMMON]
    every = partial(Flag, heading=_EVERY)
    where = "Take fields from a JSON object in a file, or from standard input with -."
    flags.append(every(["--json"], metavar="FILE", type=click.Path(), help=where))
    formats = ["table", "json", *(ROW_FORMATS if has_rows(op) else [])]
    how = "How to print the answer (default table)."
    choice = click.Choice(formats)
    flags.append(every(["--output"], metavar=_choices(formats), type=choice, default="table", help=how))
    if op.effect in (Effect.SEND, Effect.ERASE):
        flags.append(every(["--yes"], is_flag=True, help="Do not ask first."))

    def call(*, json: str | None, output: str, yes: bool = True, **values: Any) -> int:
        return run(op, by_field(values), json, output, yes=yes)

    return Command(dashed(op.name), callback=call, params=flags, help=f"{op.title}.\n\n{op.summary}")


def has_rows(op: AnyOperation) -> bool:
    """Tell whether an operation answers rows, page by page."""
    fields = getattr(op.output, "model_fields", {})
    return issubclass(op.input, ListInput) and any(name in fields for name in ROWS)


def by_field(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the command line says of fields: for each a boolean, or its texts."""
    return {
        name.removeprefix(_PREFIX): list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name.startswith(_PREFIX) and value not in (None, ())
    }


def flag(name: str) -> str:
    """Return the flag of a field."""
    return f"--{dashed(name)}"


def _flag(op: AnyOperation, name: str, field: FieldInfo, heading: str) -> Flag:
    wanted = kinds(field.annotation)
    declared = partial(Flag, heading=heading, help=_help(op, name, field, wanted))
    if wanted == [bool]:
        both = "" if field.default is False else f"/--no-{dashed(name)}"
        return declared([flag(name) + both, _PREFIX + name], is_flag=True, default=None)
    metavar = _metavar(name, wanted)
    is_file = metavar == "FILE"
    return declared(
        [flag(name), _PREFIX + name],
        multiple=True,
        metavar=metavar,
        type=click.Path() if is_file else str,
        shell_complete=None if is_file else completing(_values(name, wanted)),
    )


def _help(op: AnyOperation, name: str, field: FieldInfo, wanted: list[Any]) -> str:
    if name == "wait_seconds" and issubclass(op.input, WaitInput):
        return _WAIT
    text = field.description or ""
    if name in TEXT_FILES:
        text += " A file, or - for standard input."
    elif name in ROW_FILES:
        text += " A CSV file with the columns user_id, email and name; or JSON text, or @FILE."
    elif any(is_list(kind) for kind in wanted):
        text += " Repeat the flag, or separate by commas; @FILE reads a file, one a line."
    elif any(is_mapping(kind) for kind in wanted):
        text += " JSON text, or @FILE."
    if field.is_required():
        return f"{text} Required."
    default = field.default
    is_shown = default not in (None, False, PydanticUndefined) and not isinstance(default, list | dict)
    return f"{text} (default {default})" if is_shown else text


def _metavar(name: str, wanted: list[Any]) -> str:
    if name in TEXT_FILES or name in ROW_FILES:
        return "FILE"
    if choices := _literals(wanted):
        return _choices(choices)
    if any(is_mapping(kind) for kind in wanted):
        return "JSON"
    if name.endswith("_id") or name == "cursor":
        return "ID" if name.endswith("_id") else "CURSOR"
    return next((_METAVARS[kind] for kind in wanted if kind in _METAVARS), "TEXT")


def _values(name: str, wanted: list[Any]) -> Callable[[], list[str]]:
    return connection_names if name == "connection" else lambda: _literals(wanted)


def _literals(wanted: list[Any]) -> list[str]:
    return [str(value) for kind in wanted if get_origin(kind) is Literal for value in get_args(kind)]


def _choices(values: list[str]) -> str:
    return "{" + ",".join(values) + "}"
