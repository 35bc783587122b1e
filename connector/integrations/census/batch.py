"""Read the batch of a `sync_batch` call, and check it as a whole before its rows run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from connector.errors import InvalidInput
from connector.integrations.census.objects import OBJECTS, CensusObject

MOST_RECORDS = 100
Action = Literal["write", "delete"]


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
        """Return the identifier of a row as it was sent; None when it cannot be one."""
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
        wanted = " or ".join(of.identifiers)
        raise InvalidInput.of("schema", f"one field must be the active identifier of {of.name}: {wanted}")
    return active[0]
