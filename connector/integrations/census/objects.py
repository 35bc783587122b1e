"""Describe the two objects that Census can write to; their fields are fields of our operations' inputs."""

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
