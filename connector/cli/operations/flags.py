"""Make an operation's command: a flag for each input field, and flags for the format of the answer."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from connector.cli.arguments import Command, completer, dashed, flag
from connector.cli.operations.csv_rows import ROW_FORMATS, has_rows
from connector.cli.operations.values import ROW_FILES, TEXT_FILES
from connector.cli.startup import connection_names
from connector.service.execution.operation import AnyOperation, Effect, WaitInput
from connector.service.input.annotations import is_list, is_mapping, kinds

_PREFIX = "field_"
_COMMON = frozenset(WaitInput.model_fields)
_METAVARS = {int: "N", float: "NUMBER", str: "TEXT"}
_WAIT = "Watch at most N seconds (0: not at all; default: until the end). `serve` then continues the work."


def operation_command(op: AnyOperation) -> Command:
    """Return an operation's command; the help lists the operation's own fields before common fields."""
    fields = sorted(op.input.model_fields.items(), key=lambda item: item[0] in _COMMON)
    flags = [_flag(op, name, field) for name, field in fields]
    json_help = "Take fields from a JSON object in a file, or from standard input with -."
    flags.append(click.Option(["--json"], metavar="FILE", type=click.Path(), help=json_help))
    formats = ["table", "json", *(ROW_FORMATS if has_rows(op) else [])]
    output_help = "How to print the answer (default table)."
    choice = click.Choice(formats)
    flags.append(
        click.Option(["--output"], metavar=_choices(formats), type=choice, default="table", help=output_help)
    )
    if op.effect in (Effect.SEND, Effect.ERASE):
        flags.append(click.Option(["--yes"], is_flag=True, help="Do not ask first."))

    def call(*, json: str | None, output: str, yes: bool = True, **values: Any) -> int:
        from connector.cli.operations.run import run_operation

        return run_operation(op, by_field(values), json, output, yes=yes)

    return _OperationCommand(
        dashed(op.name), callback=call, params=flags, help=f"{op.title}.\n\n{op.summary}"
    )


class _OperationCommand(Command):
    """A command whose help separates the operation's own fields from the flags of every operation."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags under their headings, in the order of `operation_command`: each heading once."""
        for heading, params in groupby(self.get_params(ctx), _heading):
            with formatter.section(heading):
                formatter.write_dl([record for param in params if (record := param.get_help_record(ctx))])


def _heading(param: click.Parameter) -> str:
    if param.is_eager:  # --help
        return "options"
    name = str(param.name)
    is_own = name.startswith(_PREFIX) and name.removeprefix(_PREFIX) not in _COMMON
    return "fields" if is_own else "common flags"


def by_field(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that the command line sets: a boolean, a number or a list of texts for each."""
    return {
        name.removeprefix(_PREFIX): list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name.startswith(_PREFIX) and value not in (None, ())
    }


def _flag(op: AnyOperation, name: str, field: FieldInfo) -> click.Option:
    if name == "wait_seconds" and issubclass(op.input, WaitInput):  # not bounded like a call over HTTP
        return click.Option([flag(name), _PREFIX + name], metavar="N", type=click.IntRange(min=0), help=_WAIT)
    field_kinds = kinds(field.annotation)
    declared = partial(click.Option, help=_help(name, field, field_kinds))
    if field_kinds == [bool]:
        both = "" if field.default is False else f"/--no-{dashed(name)}"
        return declared([flag(name) + both, _PREFIX + name], is_flag=True, default=None)
    metavar = _metavar(name, field_kinds)
    is_file = metavar == "FILE"
    values = connection_names if name == "connection" else partial(_literals, field_kinds)
    return declared(
        [flag(name), _PREFIX + name],
        multiple=True,
        metavar=metavar,
        type=click.Path() if is_file else str,
        shell_complete=None if is_file else completer(values),
    )


def _help(name: str, field: FieldInfo, field_kinds: list[Any]) -> str:
    text = field.description or ""
    if name in TEXT_FILES:
        text += " A file, or - for standard input."
    elif name in ROW_FILES:
        text += " A CSV file with the columns user_id, email and name; or JSON text, or @FILE."
    elif any(is_list(kind) for kind in field_kinds):
        text += " Repeat the flag, or separate by commas; @FILE reads a file, one a line."
    elif any(is_mapping(kind) for kind in field_kinds):
        text += " JSON text, or @FILE."
    if field.is_required():
        return f"{text} Required."
    default = field.default
    is_shown = default not in (None, False, PydanticUndefined) and not isinstance(default, list | dict)
    return f"{text} (default {default!r})" if is_shown else text


def _metavar(name: str, field_kinds: list[Any]) -> str:
    if name in TEXT_FILES | ROW_FILES:
        return "FILE"
    if choices := _literals(field_kinds):
        return _choices(choices)
    if any(is_mapping(kind) for kind in field_kinds):
        return "JSON"
    if name.endswith("_id") or name == "cursor":
        return "ID" if name.endswith("_id") else "CURSOR"
    return next((_METAVARS[kind] for kind in field_kinds if kind in _METAVARS), "TEXT")


def _literals(field_kinds: list[Any]) -> list[str]:
    return [str(value) for kind in field_kinds if get_origin(kind) is Literal for value in get_args(kind)]


def _choices(values: list[str]) -> str:
    return "{" + ",".join(values) + "}"
