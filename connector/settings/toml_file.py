"""Find a TOML file beside the settings, and say where in it a value stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connector.settings.files import is_there, parse_toml, read_text, refusal


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A file's name as errors show it, its text, and its content."""

    name: str
    text: str
    content: Mapping[str, Any]

    def place(self, *path: str, value: str = "", at: int = 0) -> str:
        """Return the file, line and column of the entry under `path`, or of a character of its value.

        `at` is the offset in `value`, which is the text of the entry. Of a value that is written with
        escapes only the beginning is found.
        """
        begin, statement = self._statement(path)
        quoted = rf"=\s*(?:'''\n?|\"\"\"\n?|['\"])({re.escape(value)})['\"]"
        found = re.search(quoted, statement) if value else None
        inside = found.start(1) + at if found else len(statement) - len(statement.lstrip())
        before = self.text[: begin + inside]
        return f"{self.name} line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"

    def _statement(self, path: tuple[str, ...]) -> tuple[int, str]:
        """Return the offset of the lines that bring the entry into the file, and these lines."""
        begin = 0
        for end in (line.end() for line in re.finditer("\n|\\Z", self.text)):
            with suppress(tomllib.TOMLDecodeError):  # the end is within a value of several lines
                content: Any = tomllib.loads(self.text[:end])
                for name in path:
                    content = content.get(name) if isinstance(content, dict) else None
                if content is not None:
                    return begin, self.text[begin:end]
                begin = end
        return begin, ""


def find_toml(folder: Path, default: str, named: str | None, setting: str) -> TomlFile | None:
    """Return the file that `setting` names, else the one called `default`; None without either.

    A name counts from `folder`. Raises `SettingsError` for a named file that is missing, and for bad TOML.
    """
    name = named or default
    path = folder / Path(name).expanduser()
    if named is None and not is_there(path):
        return None
    if (text := read_text(path, name)) is None:
        raise refusal(setting, f"names {path}, which does not exist")
    return TomlFile(name, text, parse_toml(text, name, 'name = "value"'))
