"""Read what an interview holds beside the fields that always reach Amplitude, in any plausible shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from connector.domain.results.answers import listed_answers
from connector.text import values
from connector.text.json import UNSTORABLE
from connector.text.redaction import cut

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_SPEAKER_KEYS: Final = ("speaker", "role", "sender", "author", "type")
_TEXT_KEYS: Final = ("text", "content", "message", "title", "name", "label")
_ANSWER_TEXTS: Final = ("question_id", "question_text", "question_type", "qualitative_answer", "confidence")
_KEPT: Final = (*_ANSWER_TEXTS, "structured_value", "follow_up_insights")
_MOST, _LONGEST, _LEVELS = 100, 4_000, 5


class Analysis(NamedTuple):
    """An interview's words and numbers. Answers and stats have Koji's keys in snake_case.

    `transcript` holds the speaker, None when unknown, and the text of each message.
    """

    status: str | None
    summary: str | None
    insights: list[str]
    structured_answers: list[dict[str, Any]]
    stats: dict[str, Any]
    transcript: list[tuple[str | None, str]]


def read_analysis(body: Mapping[str, Any]) -> Analysis:
    """Return the analysis in a read of an interview; parts that are missing or of another shape are empty."""
    inner = _mapping(body.get("analysis"))
    answers = listed_answers(inner.get("structured_answers", inner.get("structuredAnswers")))
    return Analysis(
        status=_text(body.get("status")),
        summary=_text(inner.get("summary", body.get("summary"))),
        insights=[text for insight in _list(inner.get("insights")) if (text := _said(insight))],
        structured_answers=[_answer(answer) for answer in answers if isinstance(answer, Mapping)],
        stats=_in_snake_case(_mapping(body.get("stats"))),
        transcript=[_message(message) for message in _list(body.get("transcript"))],
    )


def kept_analysis(first: Callable[..., Any]) -> dict[str, Any] | None:
    """Return what added properties may be computed from, beside the fields of `Interview`, or None.

    `first` returns the value of a field by its spellings. Of an answer the fields that Koji documents are
    kept, of the stats the numbers. Texts, lists and nesting are bounded.
    """
    answers = listed_answers(first("structured_answers", "structuredAnswers"))
    stats = _in_snake_case(_mapping(first("stats")))
    kept = {
        "status": values.text(first("status")),
        "summary": values.text(first("summary")),
        "insights": [text for insight in _list(first("insights")) if (text := _said(insight))],
        "structured_answers": [_documented(answer) for answer in answers if isinstance(answer, Mapping)],
        "stats": {name: value for name, value in stats.items() if values.as_number(value) is not None},
    }
    return {name: _bounded(value) for name, value in kept.items() if value} or None


def _documented(answer: Mapping[str, Any]) -> dict[str, Any]:
    fields = _answer(answer)
    return {name: fields[name] for name in _KEPT if fields.get(name) not in (None, [])}


def _bounded(value: Any, levels: int = _LEVELS) -> Any:
    if isinstance(value, str):
        return cut(UNSTORABLE.sub("", value), _LONGEST)
    if isinstance(value, list):
        return [_bounded(item, levels - 1) for item in value[:_MOST]] if levels else None
    if isinstance(value, Mapping):
        items = list(value.items())[:_MOST] if levels else []
        return {_bounded(name): _bounded(item, levels - 1) for name, item in items}
    return value


def _answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    fields = _in_snake_case(answer)
    texts = {name: _text(fields.get(name)) for name in _ANSWER_TEXTS}
    return {**fields, **texts, "follow_up_insights": _list(fields.get("follow_up_insights"))}


def _message(message: Any) -> tuple[str | None, str]:
    if not isinstance(message, Mapping):
        return None, str(message)
    return _text(_first(message, _SPEAKER_KEYS)), _said(message) or ""


def _said(part: Any) -> str | None:
    return _text(_first(part, _TEXT_KEYS) if isinstance(part, Mapping) else part)


def _first(part: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((part[key] for key in keys if part.get(key)), None)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _in_snake_case(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_CAMEL.sub(r"_\1", key).lower(): value for key, value in values.items()}
