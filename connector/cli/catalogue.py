"""Which commands there are, and what each needs to run."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module

from connector import __version__
from connector.cli.terminal import PROGRAM, say

USAGE = 2


@dataclass(frozen=True, slots=True)
class Command:
    """One command beside the operations; `module` has `main(words) -> exit code`."""

    name: str
    summary: str
    module: str


EVERYDAY = (
    Command("demo", "Close the loop on this machine, with no account.", "connector.cli.commands.demo"),
    Command(
        "init",
        "Ask for keys, write .env, check, and wait for the first webhook.",
        "connector.cli.commands.init",
    ),
    Command(
        "doctor",
        "Check settings, store and every connection; name the next step.",
        "connector.cli.commands.doctor",
    ),
    Command("serve", "Serve HTTP and work, in one process.", "connector.cli.commands.serve"),
    Command("mcp", "Serve MCP over standard input and output, for assistants.", "connector.cli.commands.mcp"),
    Command("token", "Create, list and revoke named tokens with scopes.", "connector.cli.commands.token"),
    Command(
        "rotate-key",
        "Seal what is stored anew, with the first key or a fresh one.",
        "connector.cli.commands.rotate_key",
    ),
    Command(
        "export",
        "Print as JSON: the OpenAPI document, a Zapier app, the MCP bundle's manifest, the registry entry.",
        "connector.cli.commands.export",
    ),
    Command("sandbox", "Run the stand-ins for Koji and Amplitude.", "connector.cli.commands.sandbox"),
)


def dispatch(words: Sequence[str]) -> int:
    """Run the command that `words` begin with and return its exit code."""
    if not words or words[0] in {"-h", "--help", "help"}:
        sys.stdout.write(overview())
        return 0 if words else USAGE
    if words[0] in {"-V", "--version"}:
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return 0
    name = words[0].replace("_", "-")
    for command in EVERYDAY:
        if command.name == name:
            main: Callable[[Sequence[str]], int] = import_module(command.module).main
            return main(words[1:])
    return _operation(name, words[1:])


def overview() -> str:
    """Return the help of the whole program."""
    operations = [(name, f"{title}.") for name, title in _operations()]
    width = min(shutil.get_terminal_size().columns, 100)
    indent = max(len(name) for name, _ in operations) + 4
    lines = [
        f"usage: {PROGRAM} COMMAND [flags]",
        "",
        "Brings the results of Koji AI interviews to Amplitude, durably and counted once.",
    ]
    for heading, commands in (
        ("everyday", [(command.name, command.summary) for command in EVERYDAY]),
        ("operations", operations),
    ):
        lines += ["", f"{heading}:"]
        for name, summary in commands:
            first = f"  {name}".ljust(indent)
            lines.append(
                textwrap.fill(summary, max(width, 60), initial_indent=first, subsequent_indent=" " * indent)
            )
    lines += ["", f"`{PROGRAM} COMMAND --help` tells the flags of a command.", ""]
    return "\n".join(lines)


def _operations() -> list[tuple[str, str]]:
    from connector.operations import OPERATIONS  # noqa: PLC0415 - `serve --help` does not need them

    return [(op.name.replace("_", "-"), op.title) for op in OPERATIONS]


def _operation(name: str, words: Sequence[str]) -> int:
    known = [known for known, _ in _operations()]
    if name in known:
        from connector.cli.operations.run import run_operation  # noqa: PLC0415

        return run_operation(name.replace("-", "_"), words)
    close = get_close_matches(name, [*known, *(command.name for command in EVERYDAY)], n=1)
    hint = f"did you mean {close[0]}?" if close else f"{PROGRAM} --help lists the commands"
    say(f"error: {name[:60]}: is not a command; {hint}")
    return USAGE
