"""Map an interview to the two writes to Amplitude; the preview and the sync both call this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from connector.domain.results import theme_keys
from connector.domain.results.interview import Interview
from connector.domain.results.theme_keys import Vocabulary
from connector.text.json import dumps, loads
from connector.text.redaction import cut

EVENT_TYPE = "koji.interview_completed"
IDENTIFY_TYPE = "$identify"
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Writes:
    """The two writes of one interview as JSON text, in the order in which they are sent."""

    identify: str
    event: str


def event_insert_id(interview_id: str) -> str:
    """Return the insert id of an interview's event; it never changes."""
    return f"koji:{interview_id}:completed"


def identify_insert_id(interview_id: str) -> str:
    """Return the insert id of an interview's user properties; it never changes."""
    return f"koji:{interview_id}:identify"


def writes(
    interview: Interview,
    *,
    user_id: str,
    completed_at: int,
    koji_project_id: str | None,
    backfill: bool,
    vocabulary: Vocabulary | None = None,
    event_properties: Mapping[str, Any] = _NONE,
    user_properties: Mapping[str, Any] = _NONE,
) -> Writes:
    """Map an interview to its two writes.

    The time of the `$identify` is one millisecond before the event, so that the event carries the new user
    properties. A backfilled event does not change the user's properties (`$skip_user_properties_sync`).
    `event_properties` and `user_properties` are added to ours.
    """
    own = {**own_event_properties(interview, koji_project_id, vocabulary), **event_properties}
    return Writes(
        identify=dumps(_identify(interview, user_id, completed_at, vocabulary, user_properties)),
        event=dumps(_event(interview.interview_id, user_id, completed_at, own, backfill=backfill)),
    )


def identify_again(identify: str, now: int) -> str:
    """Return a `$identify` that was sent before, as JSON text, so that Amplitude takes it once more.

    It has no insert id, because to set the same values twice is harmless.
    """
    again = {name: value for name, value in loads(identify).items() if name != "insert_id"}
    return dumps({**again, "time": now})


def _identify(
    interview: Interview,
    user_id: str,
    completed_at: int,
    vocabulary: Vocabulary | None,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    values: dict[str, Any] = {
        **more,
        "last_interview_at": iso(completed_at),
        "last_interview_sentiment": _cut(interview.sentiment),
        "last_interview_themes": [cut(theme) for theme in interview.themes or ()] or None,
        "last_interview_quality": interview.quality_score,
        **theme_keys.user_properties(vocabulary, interview.themes or ()),
    }
    properties: dict[str, Any] = {
        "$set": {name: value for name, value in values.items() if value is not None}
    }
    if missing := {name: "-" for name, value in values.items() if value is None}:
        properties["$unset"] = missing
    return {
        "event_type": IDENTIFY_TYPE,
        "user_id": user_id,
        "time": completed_at - 1,
        "insert_id": identify_insert_id(interview.interview_id),
        "user_properties": properties,
    }


def unset(user_id: str, now: int, added: Iterable[str] = ()) -> str:
    """Return the `$identify`, as JSON text, that unsets all our properties of a user, and those added.

    It has no insert id, because to unset twice is harmless and may be needed later.
    """
    names = "at", "sentiment", "themes", "theme_keys", "quality"
    properties = dict.fromkeys([*(f"last_interview_{name}" for name in names), *sorted(added)], "-")
    identify = {"event_type": IDENTIFY_TYPE, "user_id": user_id, "time": now}
    return dumps({**identify, "user_properties": {"$unset": properties}})


def own_event_properties(
    interview: Interview, koji_project_id: str | None, vocabulary: Vocabulary | None
) -> dict[str, Any]:
    """Return the event properties of our own; None stands for an unknown value."""
    themes = [cut(theme) for theme in interview.themes or ()]
    return {
        "theme_top_1": themes[0] if themes else None,
        "theme_top_2": themes[1] if len(themes) > 1 else None,
        "themes": themes or None,
        **theme_keys.event_properties(vocabulary, themes),
        "sentiment": _cut(interview.sentiment),
        "quality_score": interview.quality_score,
        "transcript_url": _cut(interview.transcript_url),
        "interview_id": interview.interview_id,
        "koji_project_id": _cut(interview.project_id or koji_project_id),
        "launch_id": interview.launch_id,
        "cohort_id": _cut(interview.cohort_id),
        "cohort_name": _cut(interview.cohort_name),
        "variant": _cut(interview.variant),
        "mode": _cut(interview.mode),
        "duration_seconds": interview.duration_seconds,
        "respondent_messages": interview.respondent_messages,
    }


def _event(
    interview_id: str, user_id: str, completed_at: int, properties: Mapping[str, Any], *, backfill: bool
) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event_type": EVENT_TYPE,
        "user_id": user_id,
        "time": completed_at,
        "insert_id": event_insert_id(interview_id),
        "event_properties": {name: value for name, value in properties.items() if value is not None},
    }
    if backfill:
        event["$skip_user_properties_sync"] = True
    return event


def iso(millis: int) -> str:
    """Return a time as `YYYY-MM-DDTHH:MM:SSZ`."""
    return datetime.fromtimestamp(millis // 1000, UTC).isoformat()[:19] + "Z"


def _cut(text: str | None) -> str | None:
    return None if text is None else cut(text)
