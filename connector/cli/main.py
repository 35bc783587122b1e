"""The program: its commands, and its exit codes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

import click

from connector import __version__
from connector.cli.arguments import Group, dashed
from connector.cli.terminal import COMPLETION, INTERRUPTED, NAME, USAGE, say, show_error
from connector.errors import ConnectorError, NotConfigured, SettingMissing, SettingsError
from connector.text.redaction import safe

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from connector.service.execution.operation import AnyOperation

_BROKEN_PIPE: Final = 141
_FAULT: Final = 1
_FRAMES: Final = 6

EVERYDAY: Final[Mapping[str, str]] = {
    "demo": "Run the whole flow on this machine with sample data; no account needed.",
    "init": "Ask for keys, write .env, check, and wait for the first webhook.",
    "doctor": "Check settings, ledger and every connection; name the next step.",
    "serve": "Serve HTTP and run the workers, in one process.",
    "mcp": "Serve MCP over standard input and output, for assistants.",
    "console": "Open the console in the browser, signed in.",
    "token": "Create, list and revoke named tokens with scopes.",
    "rotate-key": "Re-encrypt stored secrets with the first key in the list, or with a new key.",
    "backup": "Copy the ledger and its key into one file, also while a server runs.",
    "restore": "Put the ledger of a backup where there is none.",
    "db": "Copy the ledger from SQLite to PostgreSQL.",
    "export": "Print a description for OpenAPI, Zapier, Power Platform, the MCP bundle or the registry.",
    "completion": "Print the script with which a shell completes commands and flags.",
    "sandbox": "Run the stand-ins for Koji and Amplitude.",
}
"""Name and summary of each command beside the operations; a module in `commands` defines the command."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `words` are the arguments without the program's name."""
    try:
        return dispatch(sys.argv[1:] if words is None else words)
    except SettingsError as error:
        read = f" ({_settings_files()})" if isinstance(error, SettingMissing) else ""
        say(f"error: {error}{read}")
        return USAGE
    except ConnectorError as error:
        show_error(error)
        if isinstance(error, NotConfigured):
            say(f"  {_settings_files()}")
        return error.exit_code
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has ended; without this, Python would report the pipe again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - a stack trace may hold personal data
        return _say_fault(error)


def dispatch(words: Sequence[str]) -> int:
    """Run the command that `words` begin with, or complete it for a shell; return the exit code."""
    if instruction := os.environ.get(COMPLETION):
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, NAME, COMPLETION, instruction)
    first, *others = words or ["help"]
    try:
        arguments = [*others, "--help"] if first == "help" else [first, *others]
        with program.make_context(NAME, arguments) as context:
            code: int = program.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code if words else USAGE
    except click.UsageError as error:
        return _say_usage(error)
    return code


class _Program(Group):
    """All commands. A command is imported only for a call, so that help and completion are fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return [*EVERYDAY, *_operations()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return one command, or None for an unknown name."""
        if cmd_name in EVERYDAY:
            module = import_module(f"connector.cli.commands.{cmd_name.replace('-', '_')}")
            everyday: click.Command = module.command
            return everyday
        op = _operations().get(cmd_name)
        if op is None:
            return None
        from connector.cli.operations.flags import operation_command

        return operation_command(op)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments begin with. Raises UsageError with the nearest name."""
        name = dashed(args[0])
        if name in EVERYDAY:  # without the imports of the operations
            return super().resolve_command(ctx, args)
        names = self.list_commands(ctx)
        if name not in names and not ctx.resilient_parsing:
            close = get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"there is no command {name[:60]}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the everyday commands, then the operations."""
        for heading, rows in (("everyday", EVERYDAY), ("operations", _titles())):
            with formatter.section(heading):
                formatter.write_dl(list(rows.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and flags that begin with `incomplete`."""
        from click.shell_completion import CompletionItem

        named = {**EVERYDAY, **_titles()}.items()
        items = [CompletionItem(name, help=text) for name, text in named if name.startswith(incomplete)]
        return items + click.Command.shell_complete(self, ctx, incomplete)


program = _Program(
    help="Brings the results of Koji AI interviews to Amplitude, durably and counted once.",
    epilog=f"`{NAME} COMMAND --help` tells the flags of a command.",
)
click.version_option(__version__, "-V", "--version", message=f"{NAME} %(version)s")(program)


@cache
def _operations() -> dict[str, AnyOperation]:
    # An import leaves hardly any garbage, and a collection takes longer than importing click.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        from connector.operations import OPERATIONS
    finally:
        if was_enabled:
            gc.enable()
    return {dashed(op.name): op for op in OPERATIONS}


def _titles() -> dict[str, str]:
    return {name: f"{op.title}." for name, op in _operations().items()}


def _settings_files() -> str:
    from connector.cli.startup import settings_files

    try:
        return settings_files()
    except SettingsError as error:  # one of them cannot be read
        return str(error)


def _say_usage(error: click.UsageError) -> int:
    """Write one line about an error in the arguments."""
    path, listed = NAME, "commands"
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
    from connector.log import described, fault

    say(f"error: internal error: {safe(described(error))}; please report it with these lines")
    for frame in fault(error)["frames"][-_FRAMES:]:
        say(f"  {frame}")
    return _FAULT
