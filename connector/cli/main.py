"""The program: which commands there are, and how each of its ends becomes an exit code."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from connector import __version__
from connector.cli.arguments import Group, dashed
from connector.cli.terminal import COMPLETION, INTERRUPTED, PROGRAM, USAGE, say, show_error
from connector.errors import ConnectorError, SettingsError
from connector.text.redaction import safe

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from connector.service.execution.operation import AnyOperation

_BROKEN_PIPE: Final = 141
_FAULT: Final = 1
_FRAMES: Final = 6

EVERYDAY: Final[Mapping[str, str]] = {
    "demo": "Close the loop on this machine, with no account.",
    "init": "Ask for keys, write .env, check, and wait for the first webhook.",
    "doctor": "Check settings, store and every connection; name the next step.",
    "serve": "Serve HTTP and work, in one process.",
    "mcp": "Serve MCP over standard input and output, for assistants.",
    "token": "Create, list and revoke named tokens with scopes.",
    "rotate-key": "Seal what is stored anew, with the first key or a fresh one.",
    "export": "Print an OpenAPI document, a Zapier app, the MCP bundle's manifest or the registry entry.",
    "completion": "Print the script with which a shell completes commands and flags.",
    "sandbox": "Run the stand-ins for Koji and Amplitude.",
}
"""Name and summary of each command beside the operations; its module in `commands` defines `command`."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `words` are the arguments without the program's name."""
    try:
        return dispatch(sys.argv[1:] if words is None else words)
    except SettingsError as error:
        say(f"error: {error}")
        return USAGE
    except ConnectorError as error:
        show_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the answer has enough; without this Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - a stack trace would show what people said
        return _say_fault(error)


def dispatch(words: Sequence[str]) -> int:
    """Run the command that `words` begin with, or answer a shell that completes one; return the exit code."""
    if instruction := os.environ.get(COMPLETION):
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, PROGRAM, COMPLETION, instruction)
    first, *others = words or ["help"]
    try:
        arguments = [*others, "--help"] if first == "help" else [first, *others]
        with program.make_context(PROGRAM, arguments) as context:
            code: int = program.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code if words else USAGE
    except click.UsageError as error:
        return _say_usage(error)
    return code


class _Program(Group):
    """All commands. None is imported before it is called, so that help and completion answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return [*EVERYDAY, *_operations()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return one command, None when there is none of that name."""
        name = dashed(cmd_name)
        if name in EVERYDAY:
            module = import_module(f"connector.cli.commands.{name.replace('-', '_')}")
            everyday: click.Command = module.command
            return everyday
        op = _operations().get(name)
        if op is None:
            return None
        from connector.cli.operations.flags import operation_command

        return operation_command(op, _run)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with. Raises UsageError that names the nearest one."""
        name = dashed(args[0])
        if not (name in EVERYDAY or name in _operations() or ctx.resilient_parsing):
            close = get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"{name[:60]}: is not a command{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the everyday commands, then the operations."""
        for heading, rows in (("everyday", EVERYDAY), ("operations", _titles())):
            with formatter.section(heading):
                formatter.write_dl(list(rows.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names of commands or flags that begin so."""
        from click.shell_completion import CompletionItem

        named = {**EVERYDAY, **_titles()}.items()
        items = [CompletionItem(name, help=text) for name, text in named if name.startswith(incomplete)]
        return items + click.Command.shell_complete(self, ctx, incomplete)


program = _Program(
    help="Brings the results of Koji AI interviews to Amplitude, durably and counted once.",
    epilog=f"`{PROGRAM} COMMAND --help` tells the flags of a command.",
)
click.version_option(__version__, "-V", "--version", message=f"{PROGRAM} %(version)s")(program)


@cache
def _operations() -> dict[str, AnyOperation]:
    # Nothing of what is imported is garbage, and to look for some takes longer than to import click.
    gc.disable()
    try:
        from connector.operations import OPERATIONS
    finally:
        gc.enable()
    return {dashed(op.name): op for op in OPERATIONS}


def _run(*args: Any, **kwargs: Any) -> int:
    from connector.cli.operations.run import run_operation

    return run_operation(*args, **kwargs)


def _titles() -> dict[str, str]:
    return {name: f"{op.title}." for name, op in _operations().items()}


def _say_usage(error: click.UsageError) -> int:
    """Say in one line what is wrong with the arguments."""
    path, listed = PROGRAM, "commands"
    if error.ctx is not None and not isinstance(error.ctx.command, click.Group):
        path, listed = error.ctx.command_path, "flags"
    if isinstance(error, click.NoSuchOption):
        hint = f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
        message = f"{error.option_name}: is not a flag of this command{hint}"
    else:
        message = " ".join(error.format_message().split()).removesuffix(".")
    say(f"error: {message[0].lower()}{message[1:]} ({path} --help lists the {listed})")
    return USAGE


def _say_fault(error: Exception) -> int:
    from connector.log import described

    say(f"error: a fault of this program: {safe(described(error))}")
    for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES:]:
        say(f"  {frame.filename}:{frame.lineno} {frame.name}")
    return _FAULT
