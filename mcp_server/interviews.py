"""PURE: what an interview left in words, fenced: Koji's own, and only when detailed the respondent's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from connector.redaction import cut
from mcp_server.untrusted import fenced

_SUMMARY: Final = 1_500
_LINE: Final = 300
_FEW: Final = 5
_MANY: Final = 30
_SAID: Final = 400
"""Characters of one message. A page has 100 of them, and an answer stays under 20,000 tokens."""


def words(analysis: Mapping[str, Any], *, detailed: bool, boundary: str) -> str | None:
    """Return the words of `get_interview_analysis` between marks, None when there are none."""
    found = [*_of_koji(analysis, _MANY if detailed else _FEW)]
    if detailed:
        found += [*_answers(analysis), *_transcript(analysis)]
    return fenced("\n".join(found), boundary) if found else None


def _of_koji(analysis: Mapping[str, Any], most: int) -> Iterator[str]:
    if summary := analysis["summary"]:
        yield f"Summary: {_line(summary, _SUMMARY)}"
    yield from _first("Insight: ", [_line(one) for one in analysis["insights"]], most)


def _answers(analysis: Mapping[str, Any]) -> Iterator[str]:
    told = []
    for one in analysis["structured_answers"]:
        parts = [one["qualitative_answer"], *(one["follow_up_insights"] or [])]
        said = " / ".join(_line(str(part)) for part in parts if part)
        if said:
            told.append(cut(f"{_line(one['question_text'] or one['question_id'] or '')}: {said}", 2 * _LINE))
    yield from _first("Answer to ", told, _MANY)


def _transcript(analysis: Mapping[str, Any]) -> Iterator[str]:
    for one in analysis["transcript"]:
        yield f"{_line(one['speaker'] or 'somebody', 40)}: {_line(one['text'], _SAID)}"


def _first(before: str, told: list[str], most: int) -> Iterator[str]:
    yield from (f"{before}{one}" for one in told[:most])
    if len(told) > most:
        yield f"({len(told) - most} more)"


def _line(text: str, limit: int = _LINE) -> str:
    return cut(" ".join(text.split()), limit)
