"""The conventions of our commands on top of click: underscores for dashes, and help under headings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, Final

import click

_DASHES: Final = "--"
_OPTIONS: Final = "options"
_WIDEST: Final = 100


def dashed(name: str) -> str:
    """Return a name with dashes, as flags and commands have it; people write underscores as well."""
    return name.replace("_", "-")


SETTINGS: Final[dict[str, Any]] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": _WIDEST,
    "token_normalize_func": dashed,
}


class _Formatter(click.HelpFormatter):
    """Help that begins its sections in lower case, like every other line of this program."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = "usage: ") -> None:
        super().write_usage(prog, args, prefix)

    def write_heading(self, heading: str) -> None:
        super().write_heading(heading.lower())


class _Context(click.Context):
    formatter_class = _Formatter


class Flag(click.Option):
    """An option that stands in the help under a heading of its own."""

    def __init__(self, *args: Any, heading: str = _OPTIONS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading


class Command(click.Command):
    """A command with the conventions of this program. Its callback returns the exit code."""

    context_class = _Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"context_settings": SETTINGS, "options_metavar": "[flags]", **kwargs})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; refuse a flag in the place of another flag's value, which click would take for the value."""
        if not ctx.resilient_parsing:
            with_value = {name for one in self.params if _takes_value(one) for name in one.opts}
            for word, following in pairwise(args):
                if dashed(word) in with_value and following.startswith(_DASHES):
                    raise click.BadOptionUsage(word, f"Option {word!r} requires an argument.", ctx)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags of each heading, in the order of their declaration."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for one in self.get_params(ctx):
            record = one.get_help_record(ctx)
            if record is not None and isinstance(one, click.Option):
                sections.setdefault(getattr(one, "heading", _OPTIONS), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class Group(click.Group):
    """Several commands under one name."""

    context_class = _Context
    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        settings = {"context_settings": SETTINGS, "options_metavar": "", "no_args_is_help": False}
        super().__init__(*args, **{**settings, "subcommand_metavar": "COMMAND [flags]", **kwargs})


Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def completing(values: Callable[[], Iterable[str]], *, several: bool = False) -> Completer:
    """Return what completes a value in a shell; with `several`, the last one of a list with commas."""

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
        return [f"{before}{comma}{value}" for value in values() if value.startswith(last)]

    return complete


def _takes_value(one: click.Parameter) -> bool:
    return isinstance(one, click.Option) and not one.is_flag
