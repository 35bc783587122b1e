"""PURE: shorten JSON schemas without loss of meaning, because every connected model pays for each word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_UNSTATED = frozenset({"pattern", "minLength", "maxLength", "maxItems"})
"""Bounds that are left out, because a refusal names them."""

# Shorter than the operations' own descriptions: a model reads them in every conversation.
_INPUTS: Final[Mapping[str, str]] = {
    "since": "From this time on, ISO 8601.",
    "until": "Before this time, ISO 8601.",
    "cursor": "next_cursor of the page before.",
    "interview_id": "Koji's id of the interview.",
    "csv": "With a header row: interview_id, and where known completed_at (ISO 8601) and email.",
    "in_doubt": "Starts of unknown outcome: retry starts them again, and some may get a second interview; "
    "give_up counts them as failed. Look into Koji first.",
    "resume_token": "From get_launch.",
    "mode": "Without it the study's own mode.",
    "metadata": "Goes to Koji with each interview.",
    "allow_without_link": "Also without a link.",
    "reinvite_after_days": "Ask again after so many days; without it never.",
    "cohort_id": "From list_cohorts.",
    "members": "The people, instead of a cohort.",
    "max_interviews": "Invite at most so many.",
    "email_property": "Where the e-mail stands (email).",
    "name_property": "Where the name stands (name).",
    "variant": "A label on the event, such as B.",
    "sample": "Draw the people, or take the first.",
    "sample_seed": "Draws the same people again.",
    "override_rest": "Why to ask people who rest; audited.",
    "quota": "People for each value of a property (values: {free: 20}, or per_value).",
    "stop_after_completed": "Invite in waves until so many good interviews are in.",
    "holdout_percent": "Keep these people out of all launches, to compare with.",
    "segment_by": "Property by which get_launch shows who answered.",
}
EXPLAINED: Final = frozenset({"connection", "idempotency_key", "wait_seconds"})
"""Arguments of nearly every tool, which the server's instructions explain once."""
_OUTPUTS: Final[Mapping[str, str]] = {
    "next_cursor": "cursor of the next page.",
    "launch_id": "For get_launch.",
    "decision": "What would be done.",
    "outcome": "How it ended; null while at work.",
    "identify_insert_id": "null when a newer interview owns the user properties.",
    "run_id": "For get_run.",
    "interview_link": "The link that the person opens.",
    "pause_reason": "Why it waits; without resumes_at, until resume_launch.",
    "cohort_id": "null for a list of members.",
    "in_doubt": "Outcome unknown; see resume_launch.",
    "skipped": "By reason.",
    "opt_out_link": "To say no.",
    "plan_token": "For launch_cohort_interviews; null unless planned.",
    "resume_token": "For resume_launch, after a yes to what message names.",
    "quality_score": "1 to 5.",
    "reason": "Why not; null when all is well.",
    "event_insert_id": "By which Amplitude counts it once.",
    "left_to_people": "What only a person can do.",
    "touched": "Ids of what it was about.",
}
_PLAIN: Final = frozenset(
    {
        *("cancelled", "cohort_name", "completed", "completed_at", "connection", "credits_estimate"),
        *("email", "eta_seconds", "expected", "failed", "has_more", "interview_id", "invited"),
        *("members_total", "message", "name", "next_wave_at", "plan_expires_at", "property", "resumes_at"),
        *("sample", "since", "status", "synced_at", "themes", "to_invite"),
        *("transcript_url", "until", "user_id"),
        *("waiting", "warnings"),
    }
)
"""Fields of answers, and of objects in arguments, whose names say all: they need no description."""


def _inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without references, titles and the docstrings of models."""
    defs: Mapping[str, Any] = schema.get("$defs", {})
    plain: dict[str, Any] = _plain({key: value for key, value in schema.items() if key != "$defs"}, defs)
    plain.pop("description", None)
    return plain


def of_input(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tool takes. Types leave out null, which only says that an argument is not given."""
    plain = _inlined(schema)
    plain["properties"] = {
        name: _opened(name, _described(name, _without_null(value), _INPUTS), frozenset())
        for name, value in plain["properties"].items()
    }
    for name in EXPLAINED & plain["properties"].keys():
        del plain["properties"][name]["description"]
    return plain


def of_output(schema: Mapping[str, Any], left_out: frozenset[str]) -> dict[str, Any]:
    """Return what a tool answers, without `left_out`: as one object, also for several shapes."""
    plain = _inlined(schema)
    properties: dict[str, Any] = {}
    for shape in plain.get("anyOf", [plain]):
        properties |= {name: value for name, value in shape["properties"].items() if name not in properties}
    answered = {
        name: _answered(name, value, left_out) for name, value in properties.items() if name not in left_out
    }
    return {"type": "object", "properties": answered}


def _plain(schema: Any, defs: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_plain(item, defs) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if (reference := schema.get("$ref")) is not None:
        model = dict(_plain(defs[str(reference).rpartition("/")[2]], defs))
        model.pop("description", None)
        return {**model, **{key: value for key, value in schema.items() if key != "$ref"}}
    plain = {
        key: {name: _plain(item, defs) for name, item in value.items()}
        if key == "properties"
        else _plain(value, defs)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and value is None)
        and key not in _UNSTATED
    }
    match plain.get("anyOf"):
        case [{"type": str(kind)} as only, {"type": "null"}] if "enum" not in only:
            del plain["anyOf"]
            return {**only, "type": [kind, "null"], **plain}
    return plain


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(schema)
    match plain.get("type"), plain.get("anyOf"):
        case [str(kind), "null"], None:
            plain["type"] = kind
        case None, [dict() as only, {"type": "null"}]:
            del plain["anyOf"]
            plain = {**only, **plain}
    return plain


def _described(name: str, schema: dict[str, Any], descriptions: Mapping[str, str]) -> dict[str, Any]:
    return {**schema, "description": descriptions[name]} if name in descriptions else schema


def _opened(name: str, schema: dict[str, Any], left_out: frozenset[str]) -> dict[str, Any]:
    """Return the schema of a field; of an object in it only the names of the fields stay."""
    items = schema.get("items", {})
    if (inner := items.get("properties", schema.get("properties"))) is None:
        return schema
    fields = ", ".join(field for field in inner if f"{name}.{field}" not in left_out)
    about = f"{schema.get('description', '')} {'Each' if items else 'With'}: {fields}."
    # open, because typed clients would drop the fields of a closed one
    open_ = {"type": "object", "additionalProperties": True}
    kept = {"type": "array", "items": open_} if items else {**open_, "type": schema["type"]}
    return {**kept, "description": about.strip()}


def _answered(name: str, schema: dict[str, Any], left_out: frozenset[str]) -> dict[str, Any]:
    """Return the schema of a field of an answer."""
    if (opened := _opened(name, schema, left_out)) is not schema:
        return opened
    if name in _PLAIN:
        return {key: value for key, value in schema.items() if key != "description"}
    return _described(name, schema, _OUTPUTS)
