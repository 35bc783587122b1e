"""The two objects that Census can write to; their fields are read off the inputs of our operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.operations.start_interview import START_INTERVIEW
from connector.operations.sync_interview_to_amplitude import SYNC_INTERVIEW_TO_AMPLITUDE
from connector.service.execution.operation import AnyOperation
from connector.service.input.annotations import is_list, item_kinds, kinds

_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "float"}
_TIMES = frozenset({"completed_at"})


@dataclass(frozen=True, slots=True)
class CensusObject:
    """One object: the operation that a row of it runs, and which of its fields rows may fill.

    `identifier` is offered to tell rows apart; any field of `identifiers` may do so. `operations` are those
    that a sync may choose from.
    """

    name: str
    label: str
    operation: AnyOperation
    identifier: str
    identifiers: tuple[str, ...]
    fields: tuple[str, ...]
    operations: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """Return the object as `list_objects` shows it."""
        return {"object_api_name": self.name, "label": self.label}

    def described_fields(self) -> list[dict[str, Any]]:
        """Return the fields as `list_fields` shows them."""
        return [self._field(name) for name in self.fields]

    def _field(self, name: str) -> dict[str, Any]:
        wire, array = _type(name, self.operation.input.model_fields[name].annotation)
        return {
            "field_api_name": name,
            "label": _label(name),
            "identifier": name == self.identifier,
            "required": name == self.identifier,
            "createable": True,
            "updateable": True,
            "type": wire,
            "array": array,
        }


INVITATION = CensusObject(
    name="invitation",
    label="Invitation",
    operation=START_INTERVIEW,
    identifier="user_id",
    identifiers=("user_id", "email"),
    fields=(
        *("user_id", "email", "name", "mode", "locale", "metadata"),
        *("reinvite_after_days", "allow_without_link", "connection"),
    ),
    operations=("upsert", "insert", "mirror"),
)

INTERVIEW_SYNC = CensusObject(
    name="interview_sync",
    label="Interview sync",
    operation=SYNC_INTERVIEW_TO_AMPLITUDE,
    identifier="interview_id",
    identifiers=("interview_id",),
    fields=(
        *("interview_id", "themes", "sentiment", "quality_score", "respondent_email"),
        *("transcript_url", "completed_at", "connection"),
    ),
    operations=("upsert", "insert"),
)

OBJECTS: Mapping[str, CensusObject] = {one.name: one for one in (INVITATION, INTERVIEW_SYNC)}


def _type(name: str, annotation: Any) -> tuple[str, bool]:
    """Return the name of a field's type on the wire, and whether it is an array."""
    if name in _TIMES:
        return "date_time", False
    (kind,) = kinds(annotation)
    if is_list(kind):
        (kind,) = item_kinds(kind)
        return _TYPES.get(kind, "string"), True
    return _TYPES.get(kind, "string"), False


def _label(name: str) -> str:
    words = name.replace("_", " ").replace(" id", " ID").replace(" url", " URL")
    return words[0].upper() + words[1:]
