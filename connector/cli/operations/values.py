"""Read the input of an operation from flags and files, among them a cohort in a CSV file."""

from __future__ import annotations

import sys
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from connector.domain.people.properties import carried
from connector.domain.people.same_person import member
from connector.errors import InvalidInput
from connector.service.execution.operation import AnyOperation, Input
from connector.service.input.annotations import is_list, is_mapping, kinds
from connector.service.input.coerce import fit
from connector.service.input.validate import read_input
from connector.text.json import parse_json
from connector.text.table import Table

ROW_FILES = frozenset({"members"})
TEXT_FILES = frozenset({"csv"})
_STANDARD_INPUT = "-"
_EMAIL = "email"
_MEMBER_FIELDS = ("user_id", _EMAIL, "name")


def read_payload(op: AnyOperation, flags: Mapping[str, Any], source: str | None) -> Input:
    """Return the input in flags and `--json`, converted by the same rules as over HTTP.

    `flags` has a boolean or a list of texts for each field; `source` is a file or `-`. Raises `InvalidInput`
    for a wrong field, for a file that cannot be read, and for a field in both.
    """
    if source == _STANDARD_INPUT and any(_STANDARD_INPUT in flags.get(name, ()) for name in TEXT_FILES):
        raise InvalidInput.of("json", "standard input can be read once; give the other one as a file")
    values = _object(source) if source else {}
    email = str([*flags.get("email_property", ()), values.get("email_property") or _EMAIL][0])
    for name, value in flags.items():
        if name in values:
            raise InvalidInput.of(name, "stands in --json and as a flag; give it once")
        values[name] = value if isinstance(value, bool) else _field(name, value, op.input, email)
    payload: Input = read_input(op.input, values)
    return payload


def read_members(field: str, text: str, email: str = _EMAIL) -> list[dict[str, Any]]:
    """Return the members in a CSV file with a header row; further columns become user properties.

    `email` names the column with the addresses. Raises `InvalidInput` with the number of the wrong line.
    """
    table = Table(field, text, ("user_id", _EMAIL, email))
    if not {"user_id", _EMAIL, email} & set(table.names):
        # without a header row, names may be people's addresses
        names = ", ".join(carried([dict.fromkeys(table.names)]))
        raise table.refused(
            f"the file has no column user_id or {email} in its header row, but: {names}; email_property "
            "names the column with the addresses"
        )
    column = email if email in table.names else _EMAIL
    members = []
    for line, row in table.rows(("user_id",), padded=True):
        members.append(_member(row, column))
        if member(None, members[-1].get(_EMAIL), None).has_bad_email:
            raise table.refused(f"line {line}: {email} is no e-mail address; no person was invited")
    if not members:
        raise InvalidInput.of(field, "the file names no member")
    return members


def _field(name: str, texts: list[str], model: type[BaseModel], email: str) -> Any:
    field_kinds = kinds(model.model_fields[name].annotation)
    if any(is_list(kind) for kind in field_kinds):
        return [item for text in texts for item in _items(name, text, model, email)]
    if len(texts) > 1:
        raise InvalidInput.of(name, "takes one value; give it once")
    if name in TEXT_FILES:
        return _read(name, texts[0])
    return _or_file(name, texts[0]) if any(is_mapping(kind) for kind in field_kinds) else texts[0]


def _items(name: str, text: str, model: type[BaseModel], email: str) -> list[Any]:
    if name in ROW_FILES and not text.lstrip().startswith(("[", "{", "@")):
        return read_members(name, _read(name, text), email)
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
        raw = sys.stdin.buffer.read() if source == _STANDARD_INPUT else Path(source).expanduser().read_bytes()
        return raw.decode("utf-16" if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
    except OSError as error:
        raise InvalidInput.of(name, f"the file {source} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput.of(name, f"the file {source} is no UTF-8 text; save it as CSV UTF-8") from None


def _member(row: dict[str, str], email: str) -> dict[str, Any]:
    cells = {name: value for name, value in row.items() if value and (name == email or name != _EMAIL)}
    if email in cells:
        cells[_EMAIL] = cells.pop(email)
    fields: dict[str, Any] = {name: cells.pop(name) for name in _MEMBER_FIELDS if name in cells}
    return {**fields, "properties": cells} if cells else fields
