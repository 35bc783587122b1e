"""Add the conventions of this program to click: underscores for dashes, and headings in lower case."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from itertools import pairwise
from typing import Any, Final

import click


def dashed(name: str) -> str:
    """Return the name of a flag or a command with dashes; people may write underscores as well."""
    return name.replace("_", "-")


def flag(field: str) -> str:
    """Return the flag of a field."""
    return f"--{dashed(field)}"


def with_flags(text: str, names: Collection[str]) -> str:
    """Return a message that names fields or settings by their flags.

    `mode: …` becomes `--mode: …`, `PORT=1` becomes `--port 1`, and `members.0.email` `--members row 1 email`.
    A name of one word counts only before such a mark, because it may be a plain word elsewhere.
    """
    joined = "|".join(name for name in names if "_" in name) or "$^"
    any_name = rf"(?<![\w.-])(?:({'|'.join(names)})(?=:|=|\.\d)|({joined})\b)=?"
    text = re.sub(any_name, lambda at: flag((at[1] or at[2]).lower()) + " " * at[0].endswith("="), text)
    row = r"(--[\w-]+)\.(\d+)(?:\.(?=\w))?"
    return re.sub(row, lambda at: f"{at[1]} row {int(at[2]) + 1}" + " " * at[0].endswith("."), text)


_SETTINGS: Final[dict[str, Any]] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "token_normalize_func": dashed,
}


class _Formatter(click.HelpFormatter):
    """Writes help with lower-case headings, like every other line of this program."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = "usage: ") -> None:
        super().write_usage(prog, args, prefix)

    def write_heading(self, heading: str) -> None:
        super().write_heading(heading.lower())


class _Context(click.Context):
    formatter_class = _Formatter

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**_SETTINGS, **kwargs})


class Command(click.Command):
    """A command with the conventions of this program. Its callback returns the exit code."""

    context_class = _Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"options_metavar": "[flags]", **kwargs})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; refuse a flag where a value must stand: click would accept the flag."""
        if not ctx.resilient_parsing:
            with_value = {
                name
                for param in self.params
                if isinstance(param, click.Option) and not param.is_flag
                for name in param.opts
            }
            for word, following in pairwise(args):
                if dashed(word) in with_value and following.startswith("--"):
                    raise click.BadOptionUsage(word, f"Option {word!r} requires an argument.", ctx)
        return super().parse_args(ctx, args)


class Group(click.Group):
    """Several commands under one name."""

    context_class = _Context
    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        words = {"options_metavar": "", "subcommand_metavar": "COMMAND [flags]", "no_args_is_help": False}
        super().__init__(*args, **{**words, **kwargs})


def completer(
    values: Callable[[], Iterable[str]], *, several: bool = False
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a shell completer; with `several`, it completes the last of comma-separated values."""

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
        return [f"{before}{comma}{value}" for value in values() if value.startswith(last)]

    return complete
