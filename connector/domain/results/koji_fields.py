"""Read what Koji sends, in any plausible layout.

Koji documents the fields of its webhooks and answers, not their layout. Fields are looked for at the top
level and in the usual sections; a setting (`KOJI_FIELD_ALIASES`) names the place of a field that is
elsewhere. Nothing here raises: a field that cannot be read counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from connector.domain.people.email import email_of, may_name
from connector.domain.results.analysis import kept_analysis
from connector.domain.results.answers import short_answers
from connector.domain.results.interview import Interview
from connector.domain.results.koji_values import (
    YEAR_2000,
    completion_of,
    given_text,
    identifier,
    sentiment_of,
    themes_of,
)
from connector.text import values
from connector.text.values import read_time

Aliases = Mapping[str, Sequence[str]]
Headers = Iterable[tuple[bytes, bytes]]

_NO_ALIASES: Aliases = MappingProxyType({})
_SECTIONS = ("data", "payload", "interview", "analysis", "respondent", "stats")
_WRAPPERS = ("data", "payload")
_DEPTH = 4
_EVENT_KEYS = ("event", "type", "event_type", "event_name", "topic", "name")
_EVENT_HEADERS = (b"-event", b"-topic")
_ID_KEYS = ("interview_id", "interviewId", "conversation_id")
_PROJECT_KEYS = ("project_id", "projectId", "study_id", "studyId")
_EMAIL_KEYS = ("respondent_email", "respondentEmail")
_ANONYMOUS_KEYS = ("anonymous", "is_anonymous", "isAnonymous", "anonymized", "is_anonymized", "isAnonymized")
_TIME_KEYS = ("timestamp", "occurred_at", "created_at")
_READY = "analysis_ready"  # some of Koji's pages write this one name without its prefix
_NEVER_OURS = frozenset({"study.published", "report.generated"})
_KEY = re.compile(r"[A-Za-z0-9_$-]{1,40}")
_EVENT_NAME = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
_LONGEST_EVENT_NAME = 200
DAY = 86_400_000  # ms
_MOST_KEYS = 40
_LONGEST_INDEX = 6
_ENDED = frozenset({"completed", _READY, "quality_scored", "failed_quality_gate"})
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Envelope:
    """The event, interview and projects of a body: enough to route and store it."""

    event: str | None
    interview_id: str | None
    projects: tuple[str, ...] = ()

    @property
    def is_interview_event(self) -> bool:
        """Tell whether the event is about an interview."""
        return self.event is not None and _is_about_interview(self.event)

    @property
    def is_never_ours(self) -> bool:
        """Tell whether Koji documents the event as one about something other than an interview."""
        return self.event in _NEVER_OURS


def read_envelope(body: Any, headers: Headers = (), aliases: Aliases = _NO_ALIASES) -> Envelope:
    """Return the event name, interview id and project ids of a parsed body."""
    read = _Body(body, aliases)
    event = read.event(headers)
    return Envelope(event, read.interview_id(event), read.projects())


def read_interview(
    body: Any,
    interview_id: str,
    *,
    event: str | None,
    aliases: Aliases = _NO_ALIASES,
    signed_at: int | None = None,
    project_id: str | None = None,
    whole: bool = False,
) -> Interview:
    """Return the interview in a parsed body.

    `signed_at` (ms) replaces a missing time. If a body names several projects, `project_id` counts if it is
    among them, else the first. `whole` keeps what properties may be computed from.
    """
    read = _Body(body, aliases)
    email, email_given = read.email()
    themes = themes_of(read.first("themes"))
    score = values.as_score(read.first("quality_score", "qualityScore"))
    status = _lower(values.text(read.first("analysis_status", "analysisStatus")))
    name = (event or "").lower().removeprefix("interview.")
    projects = read.projects()
    return Interview(
        interview_id=interview_id,
        ready=name == _READY or status == "completed" or bool(themes and score is not None),
        analysis_status=status,
        anonymous=read.anonymous(),
        failed_quality_gate=name == "failed_quality_gate",
        email_given=email_given,
        respondent_email=email,
        external_id=values.text(read.first("external_id", "externalId")),
        themes=themes,
        sentiment=sentiment_of(read.first("sentiment")),
        quality_score=score,
        transcript_url=given_text(read.first("transcript_url", "transcriptUrl")),
        completed_at=completion_of(read.first("completed_at", "completedAt")),
        occurred_at=read.occurred_at() or values.in_range(signed_at or 0),
        project_id=project_id if project_id in projects else next(iter(projects), None),
        mode=given_text(read.first("mode")),
        duration_seconds=values.as_number(read.first("duration_seconds", "durationSeconds")),
        respondent_messages=values.as_count(read.first("respondent_messages", "respondentMessages")),
        structured_answers=short_answers(read.first("structured_answers", "structuredAnswers")),
        analysis=kept_analysis(read.first) if whole else None,
        has_ended=name in _ENDED or status is not None or score is not None or _is_completed(read),
    )


def unreadable(body: Any, aliases: Aliases, now: int | None = None) -> dict[str, str]:
    """Return what is wrong with the values of a body that cannot be read, by field.

    With `now` (ms), also a completion that cannot be true.
    """
    read = _Body(body, aliases)
    at, themes = read.first("completed_at", "completedAt"), read.first("themes")
    score, sentiment = read.first("quality_score", "qualityScore"), read.first("sentiment")
    wrong = {}
    if at not in (None, "") and read_time(at) is None:
        wrong["completed_at"] = "has a completed_at that is no time; write it like 2026-01-31T12:00:00Z"
    elif now is not None and at and not YEAR_2000 <= (read_time(at) or 0) <= now + DAY:
        wrong["completed_at"] = "has a completed_at before 2000 or in the future"
    if themes not in (None, "") and values.labels(themes) is None:
        wrong["themes"] = "has themes that cannot be read; write them as a list of texts"
    if score not in (None, "") and values.as_score(score) is None:
        wrong["quality_score"] = "has a quality_score that is no number from 0 to 5; write it like 4.2"
    if sentiment not in (None, "") and sentiment_of(sentiment) is None:
        wrong["sentiment"] = "has a sentiment that is no word; write it like positive"
    emails = [email for mentions in _emails(_sections(body)) for email in mentions if isinstance(email, str)]
    if emails and not read.email()[1]:
        wrong["respondent_email"] = "has a respondent_email that is not exactly one address"
    return wrong


def _is_completed(read: _Body) -> bool:
    return _lower(values.text(read.first("status"))) == "completed" or read.first("completed_at") is not None


def shape(body: Any) -> list[str]:
    """Return the key paths of a body as aliases write them, without any value.

    A key that does not look like a name becomes "?", because it may be an address.
    """
    paths: list[str] = []

    def walk(value: Any, prefix: str, depth: int) -> None:
        if isinstance(value, list):
            value = {"0": value[0]} if value else {}
        if not isinstance(value, dict) or depth >= _DEPTH:
            return
        for key, inner in value.items():
            if len(paths) >= _MOST_KEYS:
                return
            path = prefix + (key if _KEY.fullmatch(key) else "?")
            paths.append(path)
            walk(inner, f"{path}.", depth + 1)

    walk(body, "", 0)
    return paths


class _Body:
    """A parsed body, and the objects that may hold its fields, outermost first.

    `carried` are the metadata sections. The author of an interview's link fills them, so Koji's own fields
    count first.
    """

    def __init__(self, body: Any, aliases: Aliases) -> None:
        self._body = body
        self._aliases = aliases
        self._own = _sections(body)
        self._carried = [meta for section in self._own if isinstance(meta := section.get("metadata"), dict)]
        self._all = [*self._own, *self._carried] if self._carried else self._own

    def first(self, name: str, *also: str) -> Any:
        """Return the first value under a name or one of its other spellings that is not empty.

        Where every place is empty, the first that is not null.
        """
        places = (section.get(key) for section in self._all for key in (name, *also))
        empty = None
        for value in (self._aliased(name), *places):
            if value is not _ABSENT and value is not None:
                if value != [] and not (isinstance(value, str) and not value.strip()):
                    return value
                empty = value if empty is None else empty
        return empty

    def event(self, headers: Headers) -> str | None:
        """Return the event name; of several, the first that is about an interview.

        No signature covers a header's name, so it counts only where the body names no event.
        """
        if named := values.text(self._aliased("event")):
            return named
        names = [*self._event_names()]
        if not any(_is_about_interview(name) or _EVENT_NAME.fullmatch(name) for name in names):
            told = (value.decode("latin-1") for key, value in headers if key.lower().endswith(_EVENT_HEADERS))
            names += filter(None, map(values.word, told))
        return next((name for name in names if _is_about_interview(name)), next(iter(names), None))

    def _event_names(self) -> Iterator[str]:
        for section in self._own[:1]:
            for key in _EVENT_KEYS:
                if event := values.word(section.get(key)):
                    yield event
        # beside the fields of a wrapper, "type" may hold anything else too
        for event in (section.get(key) for section in self._wrappers() for key in _EVENT_KEYS[:-1]):
            if isinstance(event, str) and len(event) <= _LONGEST_EVENT_NAME and _EVENT_NAME.fullmatch(event):
                yield event

    def interview_id(self, event: str | None) -> str | None:
        """Return the interview's id; a plain `id` counts only if the event may be about an interview."""
        return next(filter(None, map(identifier, self._interview_ids(event))), None)

    def _interview_ids(self, event: str | None) -> Iterator[Any]:
        yield self._aliased("interview_id")
        yield from (section.get(key) for section in self._own for key in _ID_KEYS)
        if event is None or _is_about_interview(event):
            for name in ("interview", "data"):
                for section in self._own:
                    if isinstance(inner := section.get(name), dict):
                        yield inner.get("id")
        yield from (section.get(key) for section in self._carried for key in _ID_KEYS)

    def projects(self) -> tuple[str, ...]:
        """Return the projects that Koji names; a project in the metadata is the caller's own."""
        named = [section[key] for section in self._own for key in _PROJECT_KEYS if key in section]
        texts = map(given_text, [self._aliased("project_id"), *named])
        return tuple(dict.fromkeys(filter(None, texts)))

    def email(self) -> tuple[str | None, bool]:
        """Return the respondent's e-mail, and whether it was mentioned; an explicit null is a mention.

        The key that Koji documents counts before the others, and a null before an address beside it. A text
        that is no address, as `may_name` tells, is no mention.
        """
        aliased = self._aliased("respondent_email")
        documented, guessed = _emails(self._own)
        carried = [value for mentions in _emails(self._carried) for value in mentions]
        for mentions in ([] if aliased is _ABSENT else [aliased], documented, guessed, carried):
            readable = [written for value in mentions if (written := _address(value)) is not _ABSENT]
            if emails := [one for one in map(email_of, readable) if one is None or may_name(one)]:
                return (None if None in emails else emails[0]), True
        return None, False

    def anonymous(self) -> bool:
        """Tell whether anything marks the interview as anonymous."""
        aliased = self._aliased("anonymous")
        marks = [section[key] for section in self._all for key in _ANONYMOUS_KEYS if key in section]
        return any(map(values.truthy, marks)) or (aliased is not _ABSENT and values.truthy(aliased))

    def occurred_at(self) -> int | None:
        """Return the webhook's own time; a time inside the interview may be that of its start."""
        aliased = read_time(self._aliased("occurred_at"))
        if aliased is not None:
            return aliased
        sections = (*self._own[:1], *self._wrappers())
        times = (section[key] for section in sections for key in _TIME_KEYS if key in section)
        return next((at for value in times if (at := read_time(value)) is not None), None)

    def _wrappers(self) -> list[dict[str, Any]]:
        return [
            inner
            for section in self._own[:1]
            for name in _WRAPPERS
            if isinstance(inner := section.get(name), dict)
        ]

    def _aliased(self, name: str) -> Any:
        return _at(self._body, self._aliases[name]) if name in self._aliases else _ABSENT


def _sections(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, dict):
        return []
    sections = [body]
    level = [body]
    for _ in range(_DEPTH):
        level = [inner for outer in level for name in _SECTIONS if isinstance(inner := outer.get(name), dict)]
        if not level:
            break
        sections += level
    return sections


def _emails(sections: Iterable[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """Return the mentions under the documented key, and those under `respondent.email`."""
    documented: list[Any] = []
    guessed: list[Any] = []
    for section in sections:
        documented += [section[key] for key in _EMAIL_KEYS if key in section]
        respondent = section.get("respondent")
        if isinstance(respondent, dict) and "email" in respondent:
            guessed.append(respondent["email"])
    return documented, guessed


def _address(value: Any) -> Any:
    """Return the text or null in a mention of an e-mail; `_ABSENT` for a form that says neither."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = next((value[key] for key in ("email", "address", "value") if key in value), _ABSENT)
    return value if value is None or isinstance(value, str) else _ABSENT


def _at(body: Any, path: Sequence[str]) -> Any:
    for step in path:
        if isinstance(body, dict) and step in body:
            body = body[step]
        elif isinstance(body, list) and step.isdecimal() and len(step) <= _LONGEST_INDEX:
            if int(step) >= len(body):
                return _ABSENT
            body = body[int(step)]
        else:
            return _ABSENT
    return body


def _is_about_interview(event: str) -> bool:
    name = event.lower()
    return name.startswith("interview.") or name == _READY


def _lower(value: str | None) -> str | None:
    return None if value is None else value.lower()
