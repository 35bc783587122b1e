"""Report what synced interviews say: themes, sentiment, quality and answers, never of fewer than five."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from connector.context import Context
from connector.domain.launches.credits import day_of
from connector.domain.results.mapping import iso
from connector.domain.results.tally import BIN, LEAST, Kind
from connector.service.execution.operation import Effect, Example, Input, Operation, Output
from connector.service.execution.paging import bounds
from connector.service.views import examples
from connector.text.values import as_number

_DAY: Final = 86_400_000  # ms
_USUAL: Final = 30  # days
_MOODS: Final = ("positive", "mixed", "neutral", "negative")
_FEW: Final = f"null below {LEAST}"


class ThemeReportInput(Input):
    """The days to report on."""

    since: str | None = Field(
        None, description="First day, ISO 8601; without it 30 days are shown. Days are whole, in UTC."
    )
    until: str | None = Field(None, description="The day after the last one, ISO 8601; without it tomorrow.")


class Moods(BaseModel):
    """Numbers of interviews by sentiment."""

    positive: int | None = Field(description=f"Interviews that are positive; {_FEW}.")
    mixed: int | None = Field(description=f"Interviews that are mixed; {_FEW}.")
    neutral: int | None = Field(description=f"Interviews that are neutral; {_FEW}.")
    negative: int | None = Field(description=f"Interviews that are negative; {_FEW}.")


class _Theme(BaseModel):
    theme: str = Field(description="The theme in lower case, as Koji labels it.")
    n: int = Field(description="Interviews with it.")
    share: float = Field(description="Their share of all interviews, 0 to 1.")


class ThemeCount(Moods, _Theme):
    """One theme, with the sentiment of the interviews that have it."""


class QualityBin(BaseModel):
    """Interviews whose quality score is in a range."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: float = Field(alias="from", description="Scores from here on.")
    to: float = Field(description="Scores below this; 5 is in the last range.")
    n: int | None = Field(description=f"Interviews; {_FEW}.")


class DayCount(BaseModel):
    """Interviews of a day."""

    day: str = Field(description="The UTC day on which they were completed, YYYY-MM-DD.")
    n: int | None = Field(description=f"Interviews; {_FEW}.")


class AnswerCount(BaseModel):
    """Interviews with one answer."""

    value: str = Field(description="The answer.")
    n: int = Field(description="Interviews with it.")


class QuestionCount(BaseModel):
    """One structured question."""

    question: str = Field(description="The question.")
    n: int = Field(description="Interviews that answered it.")
    values: list[AnswerCount] = Field(description="Numbers in order, else the commonest first.")


class ThemeReport(Output):
    """What the synced interviews of some days say."""

    connection: str = Field(description="The connection.")
    since: str = Field(description="When the first day began, ISO 8601 in UTC.")
    until: str = Field(description="When the last day ended, ISO 8601 in UTC.")
    interviews: int = Field(description="Synced interviews that were completed on these days.")
    themes: list[ThemeCount] = Field(description="Themes, the commonest first.")
    sentiment: Moods = Field(description="Interviews by sentiment.")
    quality: list[QualityBin] = Field(description="Interviews by quality score.")
    per_day: list[DayCount] = Field(description="Days with interviews.")
    answers: list[QuestionCount] = Field(description="Structured questions; free text is not counted.")
    hidden: int = Field(description=f"Themes, questions and answers that fewer than {LEAST} interviews have.")


async def run(ctx: Context, payload: ThemeReportInput) -> ThemeReport:
    """Return the totals of the days."""
    since, until = bounds(payload.since, payload.until)
    last = day_of(ctx.clock.now() if until is None else until - 1)
    first = last + 1 - _USUAL if since is None else day_of(since)
    totals = await ctx.ledger.tallies.of_days(payload.connection, first, last)
    cells, interviews = totals.cells, totals.interviews
    bins = {cell[2]: n for cell, n in cells.items() if cell[0] == Kind.QUALITY}
    return ThemeReport(
        connection=payload.connection,
        since=iso(first * _DAY),
        until=iso((last + 1) * _DAY),
        interviews=interviews,
        themes=[
            ThemeCount(theme=theme, n=n, share=round(n / interviews, 4), **_moods(cells, Kind.FELT, theme))
            for theme, n in _commonest((cell[1], n) for cell, n in cells.items() if cell[0] == Kind.THEME)
        ],
        sentiment=Moods(**_moods(cells, Kind.SENTIMENT, "")),
        quality=[
            QualityBin.model_validate({"from": at * BIN, "to": (at + 1) * BIN, "n": bins.get(str(at))})
            for at in range(int(5 / BIN))
        ],
        per_day=[
            DayCount(day=iso(day * _DAY)[:10], n=n if n >= LEAST else None) for day, n in totals.per_day
        ],
        answers=[
            QuestionCount(question=question, n=n, values=_values(cells, question))
            for question, n in _commonest((c[1], n) for c, n in cells.items() if c[0] == Kind.QUESTION)
        ],
        hidden=totals.hidden,
    )


def _moods(cells: Mapping[tuple[str, str, str], int], kind: Kind, subject: str) -> dict[str, int | None]:
    return {mood: cells.get((kind, subject, mood)) for mood in _MOODS}


def _commonest(counts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(counts, key=lambda count: (-count[1], count[0]))


def _values(cells: Mapping[tuple[str, str, str], int], question: str) -> list[AnswerCount]:
    counts = _commonest((c[2], n) for c, n in cells.items() if c[:2] == (Kind.ANSWER, question))
    numbers = [as_number(value) for value, _ in counts]
    if None not in numbers:
        counts.sort(key=lambda count: as_number(count[0]) or 0)
    return [AnswerCount(value=value, n=n) for value, n in counts]


GET_THEME_REPORT = Operation.of(
    run,
    subject="results",
    title="Report themes",
    summary="Report what synced interviews of some days say: themes with sentiment, quality scores, a day's "
    "number and answers to structured questions. A number below five is never shown. Changes nothing.",
    guidance="Not for one interview: get_interview_analysis.",
    example=Example(
        {"since": "2025-11-01"},
        {
            "connection": "default",
            "since": "2025-11-01T00:00:00Z",
            "until": "2025-11-21T00:00:00Z",
            "interviews": 20,
            "themes": [
                {
                    "theme": "pricing confusion",
                    "n": 9,
                    "share": 0.45,
                    **dict.fromkeys(_MOODS),
                    "negative": 7,
                }
            ],
            "sentiment": {**dict.fromkeys(_MOODS), "negative": 12},
            "quality": [{"from": 4.0, "to": 4.5, "n": 11}],
            "per_day": [{"day": examples.AT[:10], "n": 6}],
            "answers": [{"question": "How easy was it?", "n": 8, "values": [{"value": "3", "n": 6}]}],
            "hidden": 4,
        },
    ),
    effect=Effect.READ,
)
