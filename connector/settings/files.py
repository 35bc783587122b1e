"""Find and read `.env` and `connector.toml`, follow `"env:NAME"` values, and word refusals."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from platformdirs import user_config_path

from connector.errors import SettingsError
from connector.settings.model import APPLICATION, CONNECTION_NAME
from connector.settings.types import is_set

CONFIG_VARIABLE = "CONNECTOR_CONFIG"
CONFIG_FILE = "connector.toml"
DOTENV = ".env"
PREFIXES = ("CONNECTOR_", "KOJI_", "AMPLITUDE_")
"""How the names of variables begin that can only be meant for this program."""

_OURS = re.compile(rf"^[ \t]*(?:export[ \t]+)?(?:{'|'.join(PREFIXES)})", re.MULTILINE)
_REFERENCE = "env:"
MISSPELT = "; did you mean "
"""Is in the warning about an unknown setting that resembles a known one."""


@dataclass(frozen=True, slots=True)
class Document:
    """The content of `connector.toml`, with TOML's values; `connections` are its `[connections.NAME]`.

    `name` is the file's name as errors show it.
    """

    name: str
    top: Mapping[str, Any]
    connections: Mapping[str, Mapping[str, Any]]


def user_folder() -> Path:
    """Return the user's configuration folder of this program; it may not exist."""
    return user_config_path(APPLICATION, appauthor=False)


def find_dotenv(directories: Sequence[Path]) -> Path | None:
    """Return the first `.env` in these directories, or None.

    A file without a variable that can only be meant for this program belongs to another one, and gives way to
    a later file: assistants start this program in the folders of other projects.
    """
    found = [path for each in directories if is_there(path := each / DOTENV) and path.is_file()]
    ours = (path for path in found[:-1] if _OURS.search(read_text(path, str(path)) or ""))
    return next(ours, found[-1] if found else None)


def shown(path: Path, directory: Path) -> str:
    """Return a file's path, relative to `directory`, the working directory, if it lies there."""
    return str(path.relative_to(directory) if path.is_relative_to(directory) else path)


def read_dotenv(path: Path, name: str = DOTENV) -> dict[str, str]:
    """Read NAME=value lines; a missing file has none. `${…}` is not expanded. Raises `SettingsError`."""
    if path.is_dir():  # some virtual environments have this name
        return {}
    variables: dict[str, str] = {}
    for binding in parse_stream(StringIO(read_text(path, name) or "")):
        if binding.error:
            where = f"{name} line {binding.original.line}"
            raise refusal(where, "must be NAME=value", "KOJI_API_KEY=your-koji-key")
        if binding.key is not None:
            variables[binding.key] = binding.value or ""
    return variables


def find_document(named: Path | None, directories: Sequence[Path]) -> Path | None:
    """Return the file that CONNECTOR_CONFIG names, or the first `connector.toml` in these directories.

    Raises `SettingsError` when a named file is missing.
    """
    if named is None:
        return next((path for each in directories if is_there(path := each / CONFIG_FILE)), None)
    if not named.exists():
        missing = f"names {named}, which does not exist"
        raise refusal(CONFIG_VARIABLE, missing, "CONNECTOR_CONFIG=connector.toml")
    return named


def is_there(path: Path) -> bool:
    """Tell whether a file exists; none does in a folder that this user may not enter (`su` may keep HOME)."""
    return os.access(path, os.F_OK)


def read_document(path: Path, name: str) -> Document:
    """Read a file of settings. Raises `SettingsError` for bad TOML and for connections that are no tables."""
    top = parse_toml(read_text(path, name) or "", name, 'koji_api_key = "your-koji-key"')
    tables = top.pop("connections", {})
    _check_connections(tables, name)
    return Document(name, top, tables)


def parse_toml(text: str, name: str, example: str) -> dict[str, Any]:
    """Return the content of a TOML file. Raises `SettingsError` with the place of an error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at (line .*)\)$", str(error))
        last = f"line {len(text.splitlines())}, at the end"
        raise refusal(f"{name} {where[1] if where else last}", "is not valid TOML", example) from None


def _check_connections(tables: Any, file_name: str) -> None:
    if not isinstance(tables, dict):
        raise refusal(f"{file_name} connections", "must be tables", "[connections.onboarding]")
    for name, table in tables.items():
        place = f"{file_name} [connections.{name}]"
        if not re.fullmatch(CONNECTION_NAME, name):
            rule = "must be named with 1 to 40 letters a-z, digits and hyphens"
            raise refusal(place, rule, "[connections.onboarding]")
        if not isinstance(table, dict):
            raise refusal(place, "must be a table", f"[connections.{name}]")


def read_text(path: Path, name: str) -> str | None:
    """Return a file's text, or None if it is missing. Raises `SettingsError` when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refusal(name, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise refusal(name, "cannot be read: it is not UTF-8 text") from None


def resolved(written: Any, variables: Mapping[str, str]) -> Any:
    """Turn a value of the file into text, as a variable would hold it, or None if it is not set.

    `"env:NAME"` becomes that variable. Arrays and tables keep their shape, without values that are not set.
    """
    if isinstance(written, str):
        name = _referenced(written)
        text = written.strip() if name is None else variables.get(name, "").strip()
        return text if is_set(text) else None
    if isinstance(written, bool | int | float):
        return json.dumps(written)
    if isinstance(written, list):
        items = (resolved(item, variables) for item in written)
        return [item for item in items if item is not None]
    if isinstance(written, dict):
        pairs = ((name, resolved(item, variables)) for name, item in written.items())
        return {name: item for name, item in pairs if item is not None}
    return written


def references(written: Any) -> Iterator[str]:
    """Yield the names of the variables in `"env:NAME"` values, at any depth."""
    if isinstance(written, Mapping):
        written = list(written.values())
    if isinstance(written, list):
        for item in written:
            yield from references(item)
    elif isinstance(written, str) and (name := _referenced(written)) is not None:
        yield name


def _referenced(text: str) -> str | None:
    text = text.strip()
    return text.removeprefix(_REFERENCE).strip() if text.startswith(_REFERENCE) else None


def refusal(setting: str, wrong: str, example: str | None = None) -> SettingsError:
    """Return the error for `setting`, named as its owner wrote it; `wrong` must not repeat a secret."""
    return SettingsError(one_line(f"{setting}: {wrong}" + (f"; for example {example}" if example else "")))


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a question with the closest known name; an empty text when no name is close."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.8)
    return f"{MISSPELT}{close[0]}?" if close else ""


def one_line(text: str) -> str:
    """Return a text on one line, with line breaks in names as spaces."""
    return " ".join(text.split())
