"""Read `.env` and `connector.toml` as they are written, follow `"env:NAME"` values, and word refusals."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from connector.errors import SettingsError
from connector.settings.model import CONNECTION_NAME
from connector.settings.types import is_set

CONFIG_VARIABLE = "CONNECTOR_CONFIG"

_CONFIG_FILE = "connector.toml"
_REFERENCE = "env:"


@dataclass(frozen=True, slots=True)
class Document:
    """The content of `connector.toml`, with TOML's values; `connections` are its `[connections.NAME]`."""

    name: str
    top: Mapping[str, Any]
    connections: Mapping[str, Mapping[str, Any]]


def read_dotenv(path: Path) -> dict[str, str]:
    """Read NAME=value lines; a missing file has none. `${…}` is not expanded. Raises `SettingsError`."""
    if path.is_dir():  # some virtual environments have this name
        return {}
    variables: dict[str, str] = {}
    for binding in parse_stream(StringIO(_read_text(path) or "")):
        if binding.error:
            where = f"{path.name} line {binding.original.line}"
            raise refusal(where, "must be NAME=value", "KOJI_API_KEY=your-koji-key")
        if binding.key is not None:
            variables[binding.key] = binding.value or ""
    return variables


def read_document(named: str | None, directory: Path) -> Document:
    """Read the file that CONNECTOR_CONFIG names, or else `connector.toml` in `directory` if it exists.

    Raises `SettingsError` when a named file is missing, when it is not TOML, or when its connections are not
    well-named tables.
    """
    path = directory / Path(named or _CONFIG_FILE).expanduser()
    text = _read_text(path)
    if text is None and named is not None:
        missing = f"names {path}, which does not exist"
        raise refusal(CONFIG_VARIABLE, missing, "CONNECTOR_CONFIG=connector.toml")
    try:
        top = tomllib.loads(text or "")
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at (.*)\)$", str(error))
        place = f"{path.name} {where[1]}" if where else path.name
        raise refusal(place, "is not valid TOML", 'koji_api_key = "your-koji-key"') from None
    tables = top.pop("connections", {})
    _check_connections(tables, path.name)
    return Document(path.name, top, tables)


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


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refusal(path.name, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise refusal(path.name, "cannot be read: it is not UTF-8 text") from None


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
    return f"; did you mean {close[0]}?" if close else ""


def one_line(text: str) -> str:
    """Return a text on one line, with line breaks in names as spaces."""
    return " ".join(text.split())
