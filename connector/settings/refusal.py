"""The one line that stops the program: which setting, what is wrong, an example."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from connector.errors import SettingsError


def refusal(setting: str, wrong: str, example: str | None = None) -> SettingsError:
    """Say what is wrong with `setting`, named as its owner wrote it; `wrong` must not repeat a secret."""
    return SettingsError(one_line(f"{setting}: {wrong}" + (f"; for example {example}" if example else "")))


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Ask for the known name that is close, or say nothing."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else ""


def one_line(text: str) -> str:
    """Put names on one line, whatever their owner put into them."""
    return " ".join(text.split())
