"""Arguments as people write them: one-line errors, underscores for dashes, near misses named."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from connector.cli.terminal import PROGRAM, clean

USAGE = 2
_DASHES = "--"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line. Takes flags with underscores too; never guesses from a prefix."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(
            prog=f"{PROGRAM} {name}",
            usage=f"{PROGRAM} {name} [flags]",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the arguments; ends the program with exit code 2 when one is not known."""
        given, unknown = self.parse_known_args([_dashed(word) for word in words])
        if unknown:
            word = unknown[0].partition("=")[0]
            known = [option for option in self._option_string_actions if option.startswith(_DASHES)]
            close = get_close_matches(word, known, n=1)
            self.error(
                f"{word}: is not a flag of this command" + (f"; did you mean {close[0]}?" if close else "")
            )
        return given

    def error(self, message: str) -> NoReturn:
        """End the program with one line."""
        self.exit(USAGE, clean(f"error: {message} ({self.prog} --help lists the flags)\n"))


def _dashed(word: str) -> str:
    if not word.startswith(_DASHES):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value
