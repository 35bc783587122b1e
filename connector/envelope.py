"""Read what Koji sends, in any shape that is plausible.

Koji documents what its webhooks and answers contain, not how they are laid out. Fields are looked for at the top
level and in the usual sections; a setting (`KOJI_FIELD_ALIASES`) names the place of any field that is elsewhere.
Nothing here raises: what cannot be read is not told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connector.models import Interview

Aliases = Mapping[str, Sequence[str]]

_SECTIONS = ("interview", "data", "payload", "analysis", "respondent", "metadata", "stats")
_DEPTH = 4
_EVENT_KEYS = ("event", "type", "event_type", "event_name", "topic", "name")
_EVENT_HEADERS = (b"-event", b"-topic")
_ID_KEYS = ("interview_id", "interviewId", "conversation_id")
_PROJECT_KEYS = ("project_id", "projectId", "study_id", "studyId")
_TIME_KEYS = ("timestamp", "occurred_at", "created_at")
_LABEL_KEYS = ("name", "label", "title")
_READY_EVENTS = frozenset({"interview.analysis_ready", "analysis_ready"})
_NEVER_OURS = frozenset({"study.published", "report.generated"})
_ID = re.compile(r"[!-~]{1,200}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # NUL and half characters, which no database takes
_FALSE_WORDS = frozenset({"", "0", "false", "no", "off", "null", "none"})
_MILLISECONDS_FROM = 100_000_000_000  # a number above this counts milliseconds, below it seconds


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a body is about: enough to route and store it."""

    event: str | None
    interview_id: str | None
    projects: tuple[str, ...] = ()

    @property
    def is_interview_event(self) -> bool:
        """Tell whether the event name speaks of an interview."""
        return self.event is not None and self.event.startswith("interview.")

    @property
    def is_never_ours(self) -> bool:
        """Tell whether Koji's documentation lists the event as one about something else."""
        return self.event in _NEVER_OURS


def read_envelope(body: Any, headers: Iterable[tuple[bytes, bytes]] = (), aliases: Aliases = {}) -> Envelope:
    """Return event name, interview id and project ids of a parsed body."""
    sections = _sections(body)
    event = _event(body, headers, aliases)
    found = [section[key] for section in sections for key in _PROJECT_KEYS if key in section]
    if "project_id" in aliases:
        found.insert(0, _at(body, aliases["project_id"]))
    projects = tuple(text for value in found if (text := _text(value)))
    return Envelope(event, _interview_id(body, sections, event, aliases), projects)


def read_interview(
    body: Any, interview_id: str, *, event: str | None, aliases: Aliases = {}, signed_at: int | None = None
) -> Interview:
    """Return all that a parsed body tells of an interview; `signed_at` (ms) stands in for a missing time."""
    sections = _sections(body)

    def first(name: str, *keys: str) -> Any:
        if name in aliases and (value := _at(body, aliases[name])) is not None:
            return value
        for section in sections:
            for key in keys:
                if section.get(key) is not None:
                    return section[key]
        return None

    email, email_given = _email(body, sections, aliases)
    themes = first("themes", "themes")
    score = _score(first("quality_score", "quality_score", "qualityScore"))
    status = _text(first("analysis_status", "analysis_status", "analysisStatus"))
    theme_names = _themes(themes)
    occurred = (read_time(section[key]) for key in _TIME_KEYS for section in sections if key in section)
    return Interview(
        interview_id=interview_id,
        ready=event in _READY_EVENTS or status == "completed" or bool(theme_names and score is not None),
        analysis_status=status,
        anonymous=_anonymous(sections, _at(body, aliases["anonymous"]) if "anonymous" in aliases else None),
        failed_quality_gate=event == "interview.failed_quality_gate",
        email_given=email_given,
        respondent_email=email,
        external_id=_text(first("external_id", "external_id", "externalId")),
        themes=theme_names,
        sentiment=_lower(_label(first("sentiment", "sentiment"))),
        quality_score=score,
        transcript_url=_text(first("transcript_url", "transcript_url", "transcriptUrl")),
        completed_at=read_time(first("completed_at", "completed_at", "completedAt")),
        occurred_at=next((at for at in occurred if at is not None), signed_at),
        project_id=_text(first("project_id", *_PROJECT_KEYS)),
        mode=_text(first("mode", "mode")),
        duration_seconds=_number(first("duration_seconds", "duration_seconds", "durationSeconds")),
        respondent_messages=_count(first("respondent_messages", "respondent_messages", "respondentMessages")),
    )


def shape(body: Any) -> list[str]:
    """Return the key paths of a body, without any value: what to show when it cannot be read."""
    paths: list[str] = []

    def walk(value: Any, prefix: str, depth: int) -> None:
        if isinstance(value, dict) and depth < _DEPTH:
            for key, inner in value.items():
                paths.append(f"{prefix}{key}"[:80])
                walk(inner, f"{prefix}{key}.", depth + 1)

    walk(body, "", 0)
    return paths[:40]


def _sections(body: Any) -> list[dict[str, Any]]:
    """Return the objects in which fields are looked for, outermost first."""
    if not isinstance(body, dict):
        return []
    sections = [body]
    level = [body]
    for _ in range(_DEPTH):
        level = [s[name] for s in level for name in _SECTIONS if isinstance(s.get(name), dict)]
        if not level:
            break
        sections += level
    return sections


def _event(body: Any, headers: Iterable[tuple[bytes, bytes]], aliases: Aliases) -> str | None:
    if "event" in aliases and (named := _text(_at(body, aliases["event"]))):
        return named
    names = [text for key in _EVENT_KEYS if isinstance(body, dict) and (text := _word(body.get(key)))]
    names += [
        value.decode("latin-1").strip()
        for key, value in headers
        if key.lower().endswith(_EVENT_HEADERS) and value
    ]
    # "type": "event" beside "event_type": "interview.completed": the one that speaks of an interview counts
    return next((name for name in names if name.startswith("interview.")), names[0] if names else None)


def _interview_id(
    body: Any, sections: list[dict[str, Any]], event: str | None, aliases: Aliases
) -> str | None:
    if "interview_id" in aliases and (found := _identifier(_at(body, aliases["interview_id"]))):
        return found
    for section in sections:
        for key in _ID_KEYS:
            if found := _identifier(section.get(key)):
                return found
    if event is None or event.startswith("interview."):
        for name in ("interview", "data"):
            for section in sections:
                inner = section.get(name)
                if isinstance(inner, dict) and (found := _identifier(inner.get("id"))):
                    return found
    return None


def _identifier(value: Any) -> str | None:
    text = _text(value)
    return text if text is not None and _ID.fullmatch(text) else None


def _email(body: Any, sections: list[dict[str, Any]], aliases: Aliases) -> tuple[str | None, bool]:
    """Return the respondent's e-mail and whether anybody mentioned it; an explicit null is a mention."""
    if "respondent_email" in aliases and (aliased := _text(_at(body, aliases["respondent_email"]))):
        return aliased, True
    given = False
    for section in sections:
        candidates = [section[key] for key in ("respondent_email", "respondentEmail") if key in section]
        respondent = section.get("respondent")
        if isinstance(respondent, dict) and "email" in respondent:
            candidates.append(respondent["email"])
        for value in candidates:
            given = True
            if text := _text(value):
                return text, True
    return None, given


def _anonymous(sections: list[dict[str, Any]], aliased: Any) -> bool:
    marks = [
        section[key]
        for section in sections
        for key in ("anonymous", "is_anonymous", "isAnonymous")
        if key in section
    ]
    return any(_truthy(mark) for mark in [aliased, *marks])


def _truthy(value: Any) -> bool:
    return value.strip().lower() not in _FALSE_WORDS if isinstance(value, str) else bool(value)


def _at(body: Any, path: Sequence[str]) -> Any:
    for step in path:
        if isinstance(body, list) and step.isdigit() and int(step) < len(body):
            body = body[int(step)]
        elif isinstance(body, dict):
            body = body.get(step)
        else:
            return None
    return body


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return _UNSTORABLE.sub("", str(value)).strip() or None


def _word(value: Any) -> str | None:
    return _text(value) if isinstance(value, str) else None


def _lower(value: str | None) -> str | None:
    return value.lower() if value else None


def _label(value: Any) -> str | None:
    if isinstance(value, dict):
        value = next((value[key] for key in _LABEL_KEYS if value.get(key)), None)
    return _text(value)


def _themes(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        value = split_themes(value)
    if not isinstance(value, list | tuple):
        return None
    return tuple(dict.fromkeys(label for item in value if (label := _label(item))))


def split_themes(text: str) -> list[str]:
    """Split themes given as text: at line breaks if there are any, else at commas."""
    parts = text.splitlines() if len(text.strip().splitlines()) > 1 else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            return None
    if not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None  # JSON's whole numbers have no end, floats do


def _score(value: Any) -> float | None:
    """Return a quality score; Koji's scale ends at 5, so anything outside 0 to 5 is not one."""
    number = _number(value)
    return number if number is not None and 0 <= number <= 5 else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def read_time(value: Any) -> int | None:
    """Return milliseconds from ISO 8601 (without an offset: UTC), or epoch seconds or milliseconds."""
    number = _number(value)
    if number is not None:
        millis = number if number > _MILLISECONDS_FROM else number * 1000
        return int(millis) if 0 < millis < 4_102_444_800_000 else None
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value.strip())
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
