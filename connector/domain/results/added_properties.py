"""Compute the properties that a connection's settings add to an interview's event and user."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from connector.domain.results.expressions import evaluate
from connector.domain.results.interview import Interview
from connector.domain.results.mapping import own_event_properties
from connector.domain.results.theme_keys import Vocabulary
from connector.text import values
from connector.text.redaction import cut

MOST: Final = 50
"""The most properties of one kind, and the most items of a list."""
_OURS: Final = frozenset(own_event_properties(Interview(""), None, Vocabulary(())))
_RESERVED: Final = re.compile(r"\$|\[amplitude\]|gp:", re.IGNORECASE)
_LONGEST_NAME: Final = 100
_YES_NO: Final = {"yes": True, "true": True, "no": False, "false": False}


class AddedProperties(NamedTuple):
    """What a connection adds: JMESPath expressions by property, and properties by question (`answers`)."""

    event: Mapping[str, str] = {}
    user: Mapping[str, str] = {}
    answers: Mapping[str, str] = {}

    def need_analysis(self) -> bool:
        """Tell whether more of an interview must be kept than its own fields."""
        return any(self)


class Added(NamedTuple):
    """The values of added properties; `warning` names those without one, and quotes no respondent."""

    event: Mapping[str, Any] = {}
    user: Mapping[str, Any] = {}
    warning: str | None = None


def wrong_name(name: str) -> str | None:
    """Return why a property must not have this name, or None."""
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= _LONGEST_NAME:
        return f"must be named with 1 to {_LONGEST_NAME} printable characters"
    if name in _OURS or name.startswith("last_interview_"):
        return "has the name of one of the connector's own properties"
    return "has a name that Amplitude reserves" if _RESERVED.match(name) else None


def is_answered(interview: Interview) -> bool:
    """Tell whether an answer to a structured question came."""
    answers = (interview.analysis or {}).get("structured_answers", ())
    return any("structured_value" in answer for answer in answers)


def added_to(interview: Interview, wanted: AddedProperties) -> Added:
    """Return the added properties of an interview. A value that Amplitude cannot keep is left out."""
    if not wanted.need_analysis():
        return Added()
    left_out: list[str] = []
    seen = _seen(interview)
    event = dict(_answered(seen["structured_answers"], wanted.answers, left_out))
    event |= _computed(wanted.event, seen, left_out)
    user = dict(_computed(wanted.user, seen, left_out))
    return Added(event, user, cut(f"Not sent: {', '.join(left_out)}.") if left_out else None)


def _answered(
    answers: list[dict[str, Any]], properties: Mapping[str, str], left_out: list[str]
) -> Iterator[tuple[str, Any]]:
    for question, name in properties.items():
        found = (_typed(answer) for answer in answers if answer.get("question_id") == question)
        value = next((value for each in found if (value := _kept(each)) is not None), None)
        if value is None:
            left_out.append(f"{name} (no answer to {question})")
        else:
            yield name, value


def _typed(answer: Mapping[str, Any]) -> Any:
    """Return an answer: a number or a yes or no as it is, a choice as text, several as a list of texts."""
    value, kind = answer.get("structured_value"), answer.get("question_type")
    if kind in ("yes_no", "boolean"):
        value = _YES_NO.get((values.label(value) or "").lower(), value)
    if isinstance(value, list):
        return [values.label(item) for item in value]
    if isinstance(value, dict):
        return values.label(value)
    number = values.as_number(value) if kind == "scale" else None
    return value if number is None else number


def _computed(
    expressions: Mapping[str, str], seen: Mapping[str, Any], left_out: list[str]
) -> Iterator[tuple[str, Any]]:
    for name, expression in expressions.items():
        try:
            value = evaluate(expression, seen)
        except ValueError as error:
            left_out.append(f"{name} (its expression failed: {error})")
            continue
        if (kept := _kept(value)) is not None:
            yield name, kept
            continue
        kinds = {type(None): "null", dict: "an object"}
        left_out.append(f"{name} (its expression gave {kinds.get(type(value), 'nothing to keep')})")


def _kept(value: Any) -> Any:
    """Return a text, number, flag or list of them within Amplitude's limits; None for anything else."""
    if isinstance(value, list):
        items = [kept for item in value[:MOST] if item is not None and (kept := _kept(item)) is not None]
        return None if any(isinstance(item, list | dict) for item in value) else items or None
    if isinstance(value, str):
        text = values.text(value)
        return None if text is None else cut(text)
    return value if isinstance(value, bool) else values.as_number(value)


def _seen(interview: Interview) -> dict[str, Any]:
    """Return what expressions see: `get_interview_analysis` without respondent and transcript."""
    analysis = interview.analysis or {}
    stats = {
        "duration_seconds": interview.duration_seconds,
        "respondent_messages": interview.respondent_messages,
    }
    themes = list(interview.themes or ())
    return {
        "status": None,
        "summary": None,
        "insights": [],
        "structured_answers": [],
        **analysis,
        "interview_id": interview.interview_id,
        "analysis_status": interview.analysis_status or ("completed" if interview.ready else None),
        "quality_score": interview.quality_score,
        "sentiment": interview.sentiment,
        "themes": themes,
        "themes_text": ", ".join(themes),
        "transcript_url": interview.transcript_url,
        "stats": {**stats, **analysis.get("stats", {})},
    }


SEEN: Final = frozenset(_seen(Interview("")))
"""The fields that expressions see."""
