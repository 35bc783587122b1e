"""PURE: quote an interview, fenced as data: Koji's words, and only when detailed the respondent's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connector.text.redaction import cut
from mcp_server.answers.untrusted import fenced

ROOM: Final = 26_000
"""Characters of all words: they stand in the text and in the structured content, and both are one answer."""

_SUMMARY: Final = 1_500
_LINE: Final = 300
_FEW: Final = 5
_MANY: Final = 20
_SAID: Final = 1_500


@dataclass(frozen=True, slots=True)
class Words:
    """Words between marks, None when there are none, and how many messages of the transcript they hold."""

    text: str | None
    messages: int


def words(analysis: Mapping[str, Any], *, detailed: bool, boundary: str) -> Words:
    """Return the words of `get_interview_analysis`; the transcript fills the room that the rest leaves."""
    found = list(_of_koji(analysis, detailed=detailed))
    said: list[str] = []
    if detailed:
        found += _answers(analysis)
        said = _fitting(_transcript(analysis), ROOM - sum(map(len, found)))
    whole = "\n".join([*found, *said])
    return Words(fenced(whole, boundary) if whole else None, len(said))


def _of_koji(analysis: Mapping[str, Any], *, detailed: bool) -> Iterator[str]:
    most, longest, whole = (_MANY, _LINE, _SUMMARY) if detailed else (_FEW, _LINE // 2, _SUMMARY // 3)
    if summary := analysis["summary"]:
        yield f"Summary: {_line(summary, whole)}"
    yield from _first("Insight: ", [_line(one, longest) for one in analysis["insights"]], most)


def _answers(analysis: Mapping[str, Any]) -> Iterator[str]:
    told = []
    for one in analysis["structured_answers"]:
        parts = [one["qualitative_answer"], *(one["follow_up_insights"] or [])]
        if isinstance(one["structured_value"], str):
            parts.insert(0, one["structured_value"])
        said = " / ".join(dict.fromkeys(_line(str(part)) for part in parts if part))
        if said:
            told.append(
                _line(f"{_line(one['question_text'] or one['question_id'] or '')}: {said}", 2 * _LINE)
            )
    yield from _first("Answer to ", told, _MANY)


def _transcript(analysis: Mapping[str, Any]) -> Iterator[str]:
    for one in analysis["transcript"]:
        yield f"{_line(one['speaker'] or 'somebody', 40)}: {_line(one['text'], _SAID)}"


def _fitting(texts: Iterable[str], room: int) -> list[str]:
    found: list[str] = []
    for text in texts:
        room -= len(text)
        if room < 0 and found:
            break
        found.append(text)
    return found


def _first(before: str, told: list[str], most: int) -> Iterator[str]:
    yield from (f"{before}{one}" for one in told[:most])
    if len(told) > most:
        yield f"({len(told) - most} more)"


def _line(text: str, limit: int = _LINE) -> str:
    return cut(" ".join(text.split()), limit)
