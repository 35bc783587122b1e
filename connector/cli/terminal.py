"""Write to the person at the terminal: results on standard output, everything else on standard error."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from connector.errors import ConnectorError

PROGRAM = "koji-amplitude"
COMPLETION = "_KOJI_AMPLITUDE_COMPLETE"
"""Variable in which a shell asks for completions."""
USAGE = 2
"""Exit code for arguments and settings that are wrong."""
INTERRUPTED = 130
"""Exit code after Ctrl-C."""
_MOST_FIELDS = 20
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def say(text: str = "") -> None:
    """Write one line to standard error."""
    sys.stderr.write(clean(text) + "\n")
    sys.stderr.flush()


def show_error(error: ConnectorError) -> None:
    """Say what went wrong in one line and, when several fields are wrong, each of them in one more."""
    when = f" Try again in {error.retry_after} s." if error.retry_after else ""
    say(f"error: {' '.join(error.message.split())}{when}")
    if len(error.errors) > 1:
        for one in error.errors[:_MOST_FIELDS]:
            say(f"  {one.pointer.removeprefix('/') or 'input'}: {one.detail}")
        if len(error.errors) > _MOST_FIELDS:
            say(f"  and {len(error.errors) - _MOST_FIELDS} more")


def clean(text: str) -> str:
    """Return text that cannot steer a terminal: strangers' words may hold escape sequences."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def stdout() -> Console:
    """Return the console for results."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def stderr() -> Console:
    """Return the console for progress and questions."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False)


def can_ask() -> bool:
    """Tell whether a person sits at the terminal to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()
