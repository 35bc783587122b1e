"""Tallies: what synced interviews say, counted by spans of days, so that no report reads interviews.

A cell is a number of interviews, and holds no person. A day is counted three times, in spans of 64, 8 and 1
days, so that a report of a year reads few of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from connector.domain.results.interview import Interview
from connector.text.redaction import cut

LEAST: Final = 5
"""The fewest interviews of a cell that is shown: fewer could tell who said it."""
BIN: Final = 0.5
"""The width of a bin of quality scores, which go from 0 to 5."""
_SPANS: Final = (64, 8, 1)  # days
_DAY: Final = 86_400_000  # ms
_LONGEST: Final = 200


class Kind(StrEnum):
    """What a cell counts, by its subject and value."""

    INTERVIEW = "interview"
    SENTIMENT = "sentiment"  # value
    QUALITY = "quality"  # value: the number of the bin
    THEME = "theme"  # subject
    FELT = "felt"  # subject: a theme; value: the sentiment of the interview
    QUESTION = "question"  # subject
    ANSWER = "answer"  # subject: a question; value


class Cell(NamedTuple):
    """The key of a cell; its interviews were completed on one of `days` UTC days from `day` on."""

    connection: str
    kind: str
    days: int
    day: int
    subject: str
    value: str


def cells_of(connection: str, completed_at: int, interview: Interview) -> set[Cell]:
    """Return the cells in which an interview counts once each; `completed_at` is in ms."""
    day = completed_at // _DAY
    spans = [(days, day - day % days) for days in _SPANS]
    counted = set(_counted(interview))
    return {
        Cell(connection, kind, *span, subject, value) for kind, subject, value in counted for span in spans
    }


def spans_of(first: int, end: int, sizes: Sequence[int] = _SPANS) -> list[tuple[int, int, int]]:
    """Return the spans that make up the days from `first` to before `end`: (days, first, end) of each run."""
    if first >= end:
        return []
    size, *smaller = sizes
    begins, ends = first + -first % size, end - end % size
    if begins >= ends:
        return spans_of(first, end, smaller)
    return [*spans_of(first, begins, smaller), (size, begins, ends), *spans_of(ends, end, smaller)]


def _counted(interview: Interview) -> Iterator[tuple[Kind, str, str]]:
    yield Kind.INTERVIEW, "", ""
    mood = cut(interview.sentiment or "", _LONGEST)
    if mood:
        yield Kind.SENTIMENT, "", mood
    if (score := interview.quality_score) is not None:
        yield Kind.QUALITY, "", str(min(int(score / BIN), int(5 / BIN) - 1))
    for theme in interview.themes or ():
        label = cut(" ".join(theme.split()).casefold(), _LONGEST)
        yield Kind.THEME, label, ""
        yield Kind.FELT, label, mood
    for question, *values in interview.structured_answers or ():
        yield Kind.QUESTION, question, ""
        for value in values:
            yield Kind.ANSWER, question, value
