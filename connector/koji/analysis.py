"""Read what an interview holds beside the fields that reach Amplitude, in any plausible shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_SPEAKER_KEYS: Final = ("speaker", "role", "sender", "author", "type")
_TEXT_KEYS: Final = ("text", "content", "message", "title", "name", "label")
_ANSWER_TEXTS: Final = ("question_id", "question_text", "question_type", "qualitative_answer", "confidence")


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
    """Return what a read of an interview holds; what is missing or of another shape is empty."""
    inner = _mapping(body.get("analysis"))
    answers = _list(inner.get("structured_answers", inner.get("structuredAnswers")))
    return Analysis(
        status=_text(body.get("status")),
        summary=_text(inner.get("summary", body.get("summary"))),
        insights=[text for one in _list(inner.get("insights")) if (text := _said(one))],
        structured_answers=[_answer(one) for one in answers if isinstance(one, Mapping)],
        stats=_in_snake_case(_mapping(body.get("stats"))),
        transcript=[_message(one) for one in _list(body.get("transcript"))],
    )


def _answer(one: Mapping[str, Any]) -> dict[str, Any]:
    told = _in_snake_case(one)
    texts = {name: _text(told.get(name)) for name in _ANSWER_TEXTS}
    return {**told, **texts, "follow_up_insights": _list(told.get("follow_up_insights"))}


def _message(one: Any) -> tuple[str | None, str]:
    if not isinstance(one, Mapping):
        return None, str(one)
    return _text(_first(one, _SPEAKER_KEYS)), _said(one) or ""


def _said(one: Any) -> str | None:
    return _text(_first(one, _TEXT_KEYS) if isinstance(one, Mapping) else one)


def _first(one: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((one[key] for key in keys if one.get(key)), None)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _in_snake_case(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_CAMEL.sub(r"_\1", key).lower(): value for key, value in values.items()}
