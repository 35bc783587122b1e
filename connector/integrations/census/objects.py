"""Describe the two objects that Census can write to, and read batches of their rows.

The fields of an object are fields of the input of its operation. A batch is checked as a whole before its
rows run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from connector.errors import InvalidInput
from connector.operations.start_interview import START_INTERVIEW
from connector.operations.sync_interview_to_amplitude import SYNC_INTERVIEW_TO_AMPLITUDE
from connector.service.execution.operation import AnyOperation
from connector.service.input.annotations import is_list, item_kinds, kinds

MOST_RECORDS = 100
Action = Literal["write", "delete"]
_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "float"}
_TIMES = frozenset({"completed_at"})


@dataclass(frozen=True, slots=True)
class CensusObject:
    """One object: the operation that a row of it runs, and the fields that rows may fill.

    Any field of `identifiers` may tell rows apart; the first is offered. A sync chooses from `operations`.
    """

    name: str
    operation: AnyOperation
    identifiers: tuple[str, ...]
    fields: tuple[str, ...]
    operations: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """Return the object as `list_objects` shows it."""
        return {"object_api_name": self.name, "label": _label(self.name)}

    def described_fields(self) -> list[dict[str, Any]]:
        """Return the fields as `list_fields` shows them."""
        described = []
        for name in self.fields:
            kind, array = _type(name, self.operation.input.model_fields[name].annotation)
            described.append(
                {
                    "field_api_name": name,
                    "label": _label(name),
                    "identifier": name == self.identifiers[0],
                    "required": name == self.identifiers[0],
                    "createable": True,
                    "updateable": True,
                    "type": kind,
                    "array": array,
                }
            )
        return described


INVITATION = CensusObject(
    name="invitation",
    operation=START_INTERVIEW,
    identifiers=("user_id", "email"),
    fields=(
        *("user_id", "email", "name", "mode", "locale", "metadata"),
        *("reinvite_after_days", "allow_without_link", "connection"),
    ),
    operations=("upsert", "insert", "mirror"),
)

INTERVIEW_SYNC = CensusObject(
    name="interview_sync",
    operation=SYNC_INTERVIEW_TO_AMPLITUDE,
    identifiers=("interview_id",),
    fields=(
        *("interview_id", "themes", "sentiment", "quality_score", "respondent_email"),
        *("transcript_url", "completed_at", "connection"),
    ),
    operations=("upsert", "insert"),
)

OBJECTS: Mapping[str, CensusObject] = {of.name: of for of in (INVITATION, INTERVIEW_SYNC)}


@dataclass(frozen=True, slots=True)
class CensusBatch:
    """Rows of one object; the field `identifier` names a row."""

    of: CensusObject
    action: Action
    identifier: str
    records: Sequence[Any]

    def values_of(self, record: Any) -> dict[str, Any]:
        """Return a row's values. Raises `InvalidInput` for a record that is not a row of this object."""
        if not isinstance(record, dict):
            raise InvalidInput("A record must be an object.")
        for name in record:
            if name not in self.of.fields:
                raise InvalidInput.of(name[:60], f"is not a field of {self.of.name}")
        name = self.name_of(record)
        if name is None or (isinstance(name, str) and not name.strip()):
            raise InvalidInput.of(self.identifier, "is the identifier; it must be a text or a whole number")
        return record

    def name_of(self, record: Any) -> str | int | None:
        """Return the identifier of a row as it was sent, or None if it cannot be one."""
        value = record.get(self.identifier) if isinstance(record, dict) else None
        return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def read_batch(params: Mapping[str, Any]) -> CensusBatch:
    """Return the batch. Raises `InvalidInput` when a part of its description is wrong; then no row runs."""
    plan = params.get("sync_plan")
    if not isinstance(plan, dict):
        raise InvalidInput.of("sync_plan", "must be an object")
    of = object_of(plan)
    records = params.get("records")
    if not isinstance(records, list):
        raise InvalidInput.of("records", "must be a list")
    if len(records) > MOST_RECORDS:
        raise InvalidInput.of(
            "records", f"are more than {MOST_RECORDS}; send them in batches of get_sync_speed's size"
        )
    return CensusBatch(of, _action(of, plan.get("operation")), _identifier(of, plan.get("schema")), records)


def object_of(holder: Mapping[str, Any]) -> CensusObject:
    """Return the object that parameters name. Raises `InvalidInput`."""
    named = holder.get("object")
    name = named.get("object_api_name") if isinstance(named, dict) else None
    if isinstance(name, str) and name in OBJECTS:
        return OBJECTS[name]
    raise InvalidInput.of("object", f"there is no such object; there are: {', '.join(OBJECTS)}")


def _action(of: CensusObject, operation: Any) -> Action:
    # A mirror sends batches of two kinds, `upsert` and `delete`; "mirror" itself can only mean `upsert`.
    if operation == "delete":
        return "delete"
    if isinstance(operation, str) and operation in of.operations:
        return "write"
    raise InvalidInput.of("operation", f"{of.name} takes: {', '.join(of.operations)}")


def _identifier(of: CensusObject, schema: Any) -> str:
    if schema is None:
        return of.identifiers[0]
    if not isinstance(schema, dict) or not all(isinstance(field, dict) for field in schema.values()):
        raise InvalidInput.of("schema", "must be an object with an object for each field")
    for name in schema:
        if name not in of.fields:
            raise InvalidInput.of("schema", f"{name[:60]} is not a field of {of.name}")
    active: list[str] = [name for name, field in schema.items() if field.get("active_identifier") is True]
    if len(active) != 1 or active[0] not in of.identifiers:
        choices = " or ".join(of.identifiers)
        raise InvalidInput.of("schema", f"one field must be the active identifier of {of.name}: {choices}")
    return active[0]


def _type(name: str, annotation: Any) -> tuple[str, bool]:
    """Return Census's name of a field's type, and whether the field is an array."""
    if name in _TIMES:
        return "date_time", False
    (kind,) = kinds(annotation)
    array = is_list(kind)
    if array:
        (kind,) = item_kinds(kind)
    return _TYPES.get(kind, "string"), array


def _label(name: str) -> str:
    words = name.replace("_", " ").replace(" id", " ID").replace(" url", " URL")
    return words[0].upper() + words[1:]
