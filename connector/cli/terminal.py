"""Write to the person at the terminal: results to standard output, everything else to standard error."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from connector.text.cells import clean

if TYPE_CHECKING:
    from rich.console import Console

    from connector.errors import ConnectorError

NAME = "koji-amplitude"
"""The program's name."""


def _command() -> str:
    """Return how a person calls the program here: by its name, or by its path where no shell finds it."""
    beside = shutil.which(NAME, path=str(Path(sys.executable).parent))
    if shutil.which(NAME):
        return NAME
    if beside is None:
        return f"{shlex.quote(sys.executable)} -m connector"
    here = Path.cwd()
    path = Path(beside)
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


PROGRAM = _command()
"""The program in commands that are printed for a person to paste."""
COMPLETION = "_KOJI_AMPLITUDE_COMPLETE"
"""Variable in which a shell asks for completions."""
USAGE = 2
"""Exit code for wrong arguments and settings."""
INTERRUPTED = 130
"""Exit code after Ctrl-C."""
_MOST_FIELDS = 20


def say(text: str = "") -> None:
    """Write one line to standard error."""
    sys.stderr.write(clean(text) + "\n")
    sys.stderr.flush()


def show_error(error: ConnectorError, worded: Callable[[str], str] = str) -> None:
    """Write one line about an error; if several fields are wrong, add a line for each field.

    `worded` puts names of the API into those of the command line.
    """
    when = f" Try again in {error.retry_after} s." if error.retry_after else ""
    say(f"error: {worded(' '.join(error.message.split()))}{when}")
    if len(error.errors) > 1:
        for field in error.errors[:_MOST_FIELDS]:
            place = field.pointer.removeprefix("/").replace("/", ".") or "input"
            say(f"  {worded(f'{place}: {field.detail}')}")
        if len(error.errors) > _MOST_FIELDS:
            say(f"  and {len(error.errors) - _MOST_FIELDS} more")


def console(file: TextIO) -> Console:
    """Return a console that prints text to `file` unchanged."""
    from rich.console import Console

    return Console(file=file, highlight=False, markup=False, emoji=False)


def can_ask() -> bool:
    """Tell whether a person at the terminal can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()
