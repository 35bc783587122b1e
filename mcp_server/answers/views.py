"""PURE: choose the fields of an answer that a model is shown. Schema and values follow the same lists.

Three kinds of fields are left out: those that another field or tool repeats, those that only programs need,
and those that respondents wrote themselves (their names, and the bodies of webhooks).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connector.domain.results.added_properties import wrong_name
from connector.text.redaction import cut
from mcp_server.answers.untrusted import cleaned, one_line

FIRST: Final = 5
"""People that an answer without pages shows; get_launch pages them all."""
LONGEST: Final = 200
"""Characters of one text."""
MOST: Final = 20
"""Items of a list whose items are no objects."""

_FEW, _BRIEF = 5, 80
_UNQUOTED: Final = "(sent, but not shown to assistants)"
_WHOLE = ("cursor", "link", "url", "token")
_LIMITS: Final[Mapping[str, int]] = {"id": 256, "sentiment": 50}
"""Characters of a text whose name ends so: a respondent may have written it."""
_LABELS = ("themes", "sentiment")
_PERSON = ("invitations.name", "invitations.reason", "invitations.started_at", "invitations.opt_out_link")
_PLAN = ("plan_token", "resume_token", "plan_expires_at", "skipped_examples")
_OF_PAGES = ("begun_at", "interview_id", "interview_link")
_PEOPLE = ("invitations", *_OF_PAGES)
_WAVES = ("completed", "expected", "next_wave_at", "segments")
_PANEL = ("sample", "quota_cells", *_WAVES)
_AUDIENCE = ("cohort_id", "cohort_name", "members_total", "skipped", "credits_estimate", *_PANEL)
_PAUSED = ("pause_reason", "resumes_at")
_GOING_ON = ("waiting", "invited", "failed", "in_doubt", "cancelled")
_OF_ERASURE = ("done", "left_to_people")
_COUNTED = (
    *("status_url", "resumes_at", "message", "eta_seconds", "warnings"),
    *("members_total", "skipped", "credits_estimate", "cancelled"),
    *_PANEL,
    *_PEOPLE,
    *_PLAN,
)
_SENT_AS = ("refusal", "event_type", "themes_text", "theme_top_1", "theme_top_2")
_SYNC_ROW = (
    *(*_SENT_AS, "event_insert_id", "identify_insert_id"),
    *("transcript_url", "warning"),
)
_LEFT_OUT: Final[Mapping[str, tuple[str, ...]]] = {
    "launch_cohort_interviews": (
        *("status_url", "resume_token", "skipped_examples"),
        *(*_OF_PAGES, *_PERSON, *_PANEL),
    ),
    "plan_cohort_launch": (
        *("status_url", "resume_token", "pause_reason", "resumes_at"),
        *(*_GOING_ON, *_PEOPLE, *_WAVES),
    ),
    "get_launch": ("status_url", "skipped_examples", "invitations.name", *_OF_PAGES),
    "cancel_launch": ("status_url", *_PAUSED, *_PEOPLE, *_PLAN, *_AUDIENCE, "eta_seconds"),
    "resume_launch": ("status_url", *_PEOPLE, *_PLAN, *_AUDIENCE),
    "get_overview": ("launches.begun_at", "credits_each"),
    "get_person": ("skips.begun_at", "interviews.refusal"),
    "list_launches": tuple(f"items.{name}" for name in _COUNTED),
    "start_interview": ("status_url",),
    "sync_interview_to_amplitude": (*_SENT_AS, "request"),
    "list_syncs": tuple(f"items.{name}" for name in _SYNC_ROW),
    "get_sync": (*_SENT_AS, "warning", "received.body"),
    "backfill_interviews": _OF_ERASURE,
    "replay_syncs": _OF_ERASURE,
    "check_connection": ("refused_webhooks.headers", "refused_webhooks.tried"),
    "get_interview_analysis": (
        *("themes_text", "insights", "summary", "transcript"),
        *("structured_answers.qualitative_answer", "structured_answers.follow_up_insights"),
        "structured_answers.confidence",
    ),
}
_CUT = frozenset({"invitations", "skipped_examples"})
_ROWS: Final[Mapping[str, int]] = {
    "get_overview": 10,
    "get_theme_report": 31,
    "get_person": 10,
    "suggest_theme_keys": 20,
}
"""Rows of each list in answers without pages."""


def left_out(operation: str) -> frozenset[str]:
    """Return the paths of the fields that are left out; a list's name stands for each of its items."""
    return frozenset(_LEFT_OUT.get(operation, ()))


def shown(operation: str, values: Mapping[str, Any], *, paged: bool) -> dict[str, Any]:
    """Return the values that a model is shown, clean and short; without pages only the first people."""
    kept: dict[str, Any] = _short(cleaned(_without(values, left_out(operation), "")))
    if not paged:
        kept.update({name: kept[name][:FIRST] for name in _CUT & kept.keys()})
    if (most := _ROWS.get(operation)) is not None:
        kept = {name: value[:most] if isinstance(value, list) else value for name, value in kept.items()}
    return kept


def analysed(values: dict[str, Any], *, detailed: bool) -> dict[str, Any]:
    """Return an analysis without the respondent's own words, and no longer than was asked for.

    Detailed, its labels and questions are left out, too: they stand between the marks, with the quotes.
    """
    answers = [_typed(answer, detailed=detailed) for answer in values["structured_answers"]]
    if detailed:
        kept = {name: value for name, value in values.items() if name not in _LABELS}
        return {**kept, "structured_answers": answers[:MOST]}
    return {
        **values,
        "themes": [cut(theme, _BRIEF) for theme in values["themes"][: 2 * _FEW]],
        "structured_answers": answers[:_FEW],
    }


def _typed(answer: dict[str, Any], *, detailed: bool) -> dict[str, Any]:
    """Return a structured answer without what may be the respondent's own sentence, as a choice may be."""
    value, question = answer["structured_value"], answer["question_text"]
    if isinstance(value, str | list | dict):
        value = None
    question = None if detailed or question is None else cut(question, _BRIEF)
    return {**answer, "structured_value": value, "question_text": question}


def _short(value: Any, name: str = "") -> Any:
    if isinstance(value, str):
        limit = next((most for end, most in _LIMITS.items() if name.endswith(end)), LONGEST)
        return one_line(value) if name.endswith(_WHOLE) else cut(one_line(value), limit)
    if isinstance(value, list):
        is_rows = any(isinstance(item, Mapping) for item in value)
        return [_short(item, name) for item in (value if is_rows else value[:MOST])]
    if isinstance(value, Mapping):
        return {key: _short(_stated(item, name, key), key) for key, item in value.items()}
    return value


def _stated(item: Any, owner: str, name: str) -> Any:
    """Return a value, or a note in the place of an added property that may quote the respondent."""
    is_added = owner in ("event_properties", "$set") and wrong_name(name) is None
    return _UNQUOTED if is_added and isinstance(item, str | list) else item


def _without(value: Any, paths: frozenset[str], path: str) -> Any:
    if isinstance(value, list):
        return [_without(item, paths, path) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: _without(item, paths, f"{path}{name}.")
        for name, item in value.items()
        if f"{path}{name}" not in paths
    }
