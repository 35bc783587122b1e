"""Tallies: what synced interviews say, counted by day, so that no report reads interviews.

A cell is a number of interviews, and holds no person.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from connector.domain.results.interview import Interview
from connector.text.redaction import cut

LEAST: Final = 5
"""The fewest interviews of a cell that is shown: fewer could tell who said it."""
BIN: Final = 0.5
"""The width of a bin of quality scores, which go from 0 to 5."""
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
    """The key of a cell; `day` is the UTC day on which the interviews were completed."""

    connection: str
    kind: str
    day: int
    subject: str
    value: str


def cells_of(connection: str, completed_at: int, interview: Interview) -> set[Cell]:
    """Return the cells in which an interview counts once each; `completed_at` is in ms."""
    day = completed_at // _DAY
    return {Cell(connection, kind, day, subject, value) for kind, subject, value in _counted(interview)}


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
