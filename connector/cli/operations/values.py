"""Flags and files to an operation's input."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from connector.cli.operations.flags import PREFIX, ROW_FILES, TEXT_FILES
from connector.cli.operations.members_file import read_members
from connector.errors import InvalidInput
from connector.service.execution.operation import AnyOperation, Input
from connector.service.input.annotations import is_list, is_mapping, kinds
from connector.service.input.coerce import fit
from connector.service.input.validate import validate
from connector.text.json import parse_json

STANDARD_INPUT = "-"


def read_payload(op: AnyOperation, given: Namespace) -> Input:
    """Return the input that flags and `--json` make together, read as forgivingly as over HTTP.

    Raises `InvalidInput`: for a wrong field, a file that cannot be read, or a field that is given twice.
    """
    texts = {
        name.removeprefix(PREFIX): value
        for name, value in vars(given).items()
        if name.startswith(PREFIX) and value is not None
    }
    if given.json == STANDARD_INPUT and any(texts.get(name) == [STANDARD_INPUT] for name in TEXT_FILES):
        raise InvalidInput.of("json", "standard input can be read once; give the other one as a file")
    values = _object(given.json) if given.json else {}
    for name, value in texts.items():
        if name in values:
            raise InvalidInput.of(name, "stands in --json and as a flag; give it once")
        values[name] = value if isinstance(value, bool) else _field(name, value, op.input)
    payload: Input = validate(op.input, fit(values, op.input))
    return payload


def _field(name: str, texts: list[str], model: type[BaseModel]) -> Any:
    if name in ROW_FILES:
        return [row for text in texts for row in _rows(name, text, model)]
    wanted = kinds(model.model_fields[name].annotation)
    if any(is_list(kind) for kind in wanted):
        return [item for text in texts for item in _items(name, text, model)]
    if len(texts) > 1:
        raise InvalidInput.of(name, "takes one value; give it once")
    if name in TEXT_FILES:
        return _read(name, texts[0])
    return _or_file(name, texts[0]) if any(is_mapping(kind) for kind in wanted) else texts[0]


def _rows(name: str, text: str, model: type[BaseModel]) -> list[Any]:
    """Return rows of a CSV file; what looks like JSON or @FILE is read as JSON."""
    if text.lstrip().startswith(("[", "{", "@")):
        return _items(name, text, model)
    return read_members(name, _read(name, text))


def _items(name: str, text: str, model: type[BaseModel]) -> list[Any]:
    fitted = fit({name: _or_file(name, text)}, model).get(name, [])
    return fitted if isinstance(fitted, list) else [fitted]


def _or_file(name: str, text: str) -> str:
    return _read(name, text[1:]) if text.startswith("@") else text


def _object(source: str) -> dict[str, Any]:
    try:
        value = parse_json(_read("json", source).encode())
    except InvalidInput as error:
        raise InvalidInput(error.message.replace("The body", "--json", 1), code=error.reason) from None
    if not isinstance(value, dict):
        raise InvalidInput.of("json", "must hold one JSON object")
    return value


def _read(name: str, source: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if source == STANDARD_INPUT else Path(source).expanduser().read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput.of(name, f"the file {source} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput.of(name, f"the file {source} is not UTF-8 text") from None
