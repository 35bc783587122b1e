"""Change settings in `.env` and leave everything else in it as it is."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./~-]+")


def changed(text: str, values: Mapping[str, str]) -> str:
    """Return the text of an `.env` file with these values: in place of an old line, else at the end.

    Of a name that stands there twice the last line counts, so that all of them are replaced by one.
    """
    lines: list[str] = []
    left = dict(values)
    last = {one.key: one.original.line for one in parse_stream(StringIO(text)) if one.key in values}
    for binding in parse_stream(StringIO(text)):
        if binding.key not in values:
            lines.append(binding.original.string)
        elif binding.key in left and binding.original.line == last[binding.key]:
            lead = binding.original.string[
                : len(binding.original.string) - len(binding.original.string.lstrip())
            ]
            lines.append(f"{lead}{_line(binding.key, left.pop(binding.key))}")
    before = "".join(lines)
    gap = "\n" if left and before and not before.endswith("\n") else ""
    return before + gap + "".join(_line(name, value) for name, value in left.items())


def write(path: Path, values: Mapping[str, str]) -> None:
    """Put values into the file, all or none of them, readable by its owner alone. Raises OSError."""
    target = path.resolve()  # a link stays a link
    text = target.read_text(encoding="utf-8-sig") if target.exists() else ""
    descriptor, name = tempfile.mkstemp(prefix=".env-", dir=target.parent)  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(changed(text, values))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _line(name: str, value: str) -> str:
    if _PLAIN.fullmatch(value):
        return f"{name}={value}\n"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{escaped}'\n"
