"""Read a TOML file beside the settings; an error names the file, the line and the column."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from connector.settings.files import parse_toml, read_text, refusal

T = TypeVar("T")
_ENDS = re.compile(r"""["'\],}]|$""")


def read_beside(path: Path, name: str, check: Callable[[Mapping[str, Any]], T], example: str) -> T:
    """Return what `check` makes of a file's content; `name` is the file's in errors.

    `check` raises `ValueError` with what is wrong; this raises `SettingsError`.
    """
    text = read_text(path, name) or ""
    content = parse_toml(text, name, example)
    try:
        return check(content)
    except ValueError as error:
        wrong = str(error)
    line, column = _place(text.splitlines(keepends=True), lambda part: _is_wrong(part, check, wrong))
    raise refusal(f"{name} line {line}, column {column}", wrong, example)


def _is_wrong(part: str, check: Callable[[Mapping[str, Any]], object], wrong: str) -> bool | None:
    """Tell whether the beginning of a file has the same error; None if it ends within a value."""
    for closed in (part, part + "]"):
        try:
            check(tomllib.loads(closed))
        except tomllib.TOMLDecodeError:
            continue
        except ValueError as error:
            return str(error) == wrong
        return False
    return None


def _place(lines: list[str], is_wrong: Callable[[str], bool | None]) -> tuple[int, int]:
    """Return line and column of the first value with which the file is wrong."""

    def up_to(count: int) -> bool:
        parts = ("".join(lines[:n]) for n in range(count, -1, -1))
        return next(found for part in parts if (found := is_wrong(part)) is not None)

    line = bisect_left(range(1, len(lines)), x=True, key=up_to)
    before, text = "".join(lines[:line]), lines[line]
    right = 0
    for end in (found.end() for found in _ENDS.finditer(text)):
        if found := is_wrong(before + text[:end]):
            break
        right = right if found is None else end
    return line + 1, right + len(text[right:]) - len(text[right:].lstrip(" \t,")) + 1
