"""Decide what Amplitude accepts: a pure check of one event, and the answer to a request with bad ones.

Amplitude HTTP V2: one bad event refuses the whole request, and each map names only the first offender per
field. Only one kind of fault is reported at a time, so a sender has to prune and try again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from connector.sandbox.amplitude.properties import OPERATORS

MISSING: Final = "events_with_missing_fields"
INVALID: Final = "events_with_invalid_fields"
ID_LENGTH: Final = "events_with_invalid_id_lengths"

ERRORS: Final = {
    MISSING: "Request missing required field",
    INVALID: "Invalid field values on some events",
    ID_LENGTH: "Invalid id length for user_id or device_id",
}

DEFAULT_MIN_ID_LENGTH: Final = 5
MAX_DEPTH: Final = 40
MAX_STRING: Final = 1024

RESERVED_IDS: Final = frozenset(
    {
        *("anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", '""', "{}"),
        *("lmy47d", "0", "-1", "00000000-0000-0000-0000-000000000000"),
    }
)

_TEXT: Final = (
    "user_id device_id event_type insert_id ip app_version platform os_name os_version device_brand "
    "device_manufacturer device_model carrier country region city dma language user_agent productId "
    "revenueType currency idfa idfv adid android_id android_app_set_id library partner_id"
)
_NUMBERS: Final = "price revenue location_lat location_lng"
_OBJECTS: Final = "event_properties user_properties groups group_properties plan"
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(_TEXT.split(), (str,)),
    **dict.fromkeys(_NUMBERS.split(), (int, float)),
    **dict.fromkeys(_OBJECTS.split(), (dict,)),
    **dict.fromkeys(("time", "session_id", "event_id", "quantity"), (int,)),
    "$skip_user_properties_sync": (bool,),
}


class Fault(NamedTuple):
    """One thing wrong with one event: `kind` is the map of the answer that names it."""

    kind: str
    field: str


def event_faults(event: Mapping[str, Any], min_id_length: int) -> Sequence[Fault]:
    """List what is wrong with one event; null counts as absent. Empty means acceptable."""
    faults: list[Fault] = []
    for field, value in event.items():
        expected = _TYPES.get(field)
        # bool is an int to isinstance, and Amplitude's numbers are not booleans: exact types decide.
        if expected is not None and value is not None and type(value) not in expected:
            faults.append(Fault(INVALID, field))
    if faults:
        return faults
    event_type = event.get("event_type")
    if not event_type:
        faults.append(Fault(MISSING, "event_type"))
    elif event_type.startswith("[Amplitude] "):
        faults.append(Fault(INVALID, "event_type"))
    user_id, device_id = event.get("user_id"), event.get("device_id")
    if user_id is None and device_id is None:
        faults += [Fault(MISSING, "user_id"), Fault(MISSING, "device_id")]
    for field, value in (("user_id", user_id), ("device_id", device_id)):
        if value is None:
            continue
        if len(value) < min_id_length:
            faults.append(Fault(ID_LENGTH, field))
        elif value.lower() in RESERVED_IDS:
            faults.append(Fault(INVALID, field))
    time = event.get("time")
    if time is not None and time < 0:
        faults.append(Fault(INVALID, "time"))
    properties = event.get("user_properties")
    if properties and not _operators_are_sound(properties):
        faults.append(Fault(INVALID, "user_properties"))
    return faults


def _operators_are_sound(properties: Mapping[str, Any]) -> bool:
    """Tell whether the keys are all plain, or all known operators with objects as values."""
    if not any(key.startswith("$") for key in properties):
        return True
    if not OPERATORS.issuperset(properties):
        return False
    objects = {operator: values for operator, values in properties.items() if operator != "$clearAll"}
    if not all(type(values) is dict for values in objects.values()):
        return False
    return all(type(value) in {int, float} for value in objects.get("$add", {}).values())


class TooDeepError(ValueError):
    """A property object is nested deeper than Amplitude keeps."""


def cut_strings(value: Any, depth: int = 1) -> Any:
    """Return `value` with strings over 1,024 characters cut, itself when nothing had to change.

    Amplitude limits: string values are truncated silently, objects have at most 40 layers. Raises
    TooDeepError.
    """
    kind = type(value)
    if kind is str:
        return value if len(value) <= MAX_STRING else value[:MAX_STRING]
    if kind is not dict and kind is not list:
        return value
    if depth > MAX_DEPTH:
        raise TooDeepError
    if kind is list:
        cuts = [cut_strings(inner, depth + 1) for inner in value]
        return cuts if any(cut is not inner for cut, inner in zip(cuts, value, strict=True)) else value
    changed = {}
    for key, inner in value.items():
        cut = cut_strings(inner, depth + 1)
        if cut is not inner:
            changed[key] = cut
    return {**value, **changed} if changed else value


def refusal(status: int, error: str, **more: Any) -> dict[str, Any]:
    """Return an error body in Amplitude's shape."""
    return {"code": status, "error": error, **more}


def request_refusal(events: Sequence[Mapping[str, Any]], min_id_length: int) -> dict[str, Any] | None:
    """Check every event and return the 400 body that refuses the request, or None when all are acceptable."""
    maps: dict[str, dict[str, list[int]]] = {}
    for index, event in enumerate(events):
        for kind, field in event_faults(event, min_id_length):
            maps.setdefault(kind, {}).setdefault(field, [index])
    for kind, error in ERRORS.items():
        if kind in maps:
            return refusal(400, error, **{kind: maps[kind]})
    return None


def cut_events(events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Cut the properties of events in place, or return the 400 body for one with more than 40 layers."""
    for index, event in enumerate(events):
        for field in ("event_properties", "user_properties"):
            if value := event.get(field):
                try:
                    event[field] = cut_strings(value)
                except TooDeepError:
                    return refusal(400, ERRORS[INVALID], **{INVALID: {field: [index]}})
    return None
