"""PURE: quote an interview, fenced as data: Koji's words and, only when detailed, the respondent's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from connector.text.redaction import cut
from mcp_server.answers.untrusted import fenced

ROOM: Final = 26_000
"""Characters of all quotes: they stand in the text and in the structured content, and both are one answer."""

_SUMMARY: Final = 1_500
_LINE: Final = 300
_FEW: Final = 5
_MANY: Final = 20
_MESSAGE: Final = 1_500


def quote(analysis: Mapping[str, Any], *, detailed: bool, boundary: str) -> tuple[str | None, int]:
    """Return the quotes of an analysis between marks, and how many messages of its transcript they hold.

    The transcript fills the room that the other quotes leave. The text is None when there is none.
    """
    quotes = list(_of_koji(analysis, detailed=detailed))
    messages: list[str] = []
    if detailed:
        quotes += _first("Answer to ", list(_answers(analysis)), _MANY)
        messages = _fitting(_transcript(analysis), ROOM - sum(map(len, quotes)))
    text = "\n".join([*quotes, *messages])
    return fenced(text, boundary) if text else None, len(messages)


def _of_koji(analysis: Mapping[str, Any], *, detailed: bool) -> Iterator[str]:
    most, longest, summary = (_MANY, _LINE, _SUMMARY) if detailed else (_FEW, _LINE // 2, _SUMMARY // 3)
    if detailed:
        yield from _first("Theme: ", [_line(theme) for theme in analysis["themes"]], most)
        if analysis["sentiment"]:
            yield f"Sentiment: {_line(analysis['sentiment'])}"
    if analysis["summary"]:
        yield f"Summary: {_line(analysis['summary'], summary)}"
    yield from _first("Insight: ", [_line(insight, longest) for insight in analysis["insights"]], most)


def _answers(analysis: Mapping[str, Any]) -> Iterator[str]:
    for answer in analysis["structured_answers"]:
        value = answer["structured_value"]
        parts = [", ".join(map(str, value)) if isinstance(value, list) else value]
        parts += [answer["qualitative_answer"], *(answer["follow_up_insights"] or [])]
        text = " / ".join(dict.fromkeys(_line(str(part)) for part in parts if part is not None))
        if text:
            question = _line(answer["question_text"] or answer["question_id"] or "")
            yield _line(f"{question}: {text}", 2 * _LINE)


def _transcript(analysis: Mapping[str, Any]) -> Iterator[str]:
    for message in analysis["transcript"]:
        yield f"{_line(message['speaker'] or 'unknown', 40)}: {_line(message['text'], _MESSAGE)}"


def _fitting(texts: Iterable[str], room: int) -> list[str]:
    """Return the first texts that fit; the first one always does."""
    fitting: list[str] = []
    for text in texts:
        room -= len(text)
        if room < 0 and fitting:
            break
        fitting.append(text)
    return fitting


def _first(prefix: str, texts: list[str], most: int) -> Iterator[str]:
    yield from (f"{prefix}{text}" for text in texts[:most])
    if len(texts) > most:
        yield f"({len(texts) - most} more)"


def _line(text: str, limit: int = _LINE) -> str:
    return cut(" ".join(text.split()), limit)
