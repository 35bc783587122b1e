"""Themes: what people said, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from starlette.responses import Response

from connector.console.charts import bar, columns
from connector.console.visit import Visit
from connector.domain.results.tally import LEAST
from connector.operations.get_theme_report import DayCount, ThemeReport

_MOODS: Final = ("negative", "mixed", "neutral", "positive")
_TOP: Final = 3
_SHOWN: Final = 50
"""The commonest themes, until a person asks for all."""
_LONGEST: Final = timedelta(days=92)
"""The most days that are drawn and listed: a quarter."""


async def show(visit: Visit) -> Response:
    """Show the themes of a period; without one, of the last 30 days."""
    report: ThemeReport = await visit.run(
        "get_theme_report", **{name: visit.query.get(name) for name in ("since", "until")}
    )
    since, until = (date.fromisoformat(text[:10]) for text in (report.since, report.until))
    unhappy = [theme for theme in report.themes if theme.negative is not None]
    unhappy.sort(key=lambda theme: -(theme.negative or 0))
    return visit.page(
        "themes.html",
        "Themes",
        report=report,
        shown=report.themes if "all" in visit.query else report.themes[:_SHOWN],
        since=since,
        until=until,
        last=until - timedelta(days=1),
        least=LEAST,
        moods=_MOODS,
        sentiment=[(mood, getattr(report.sentiment, mood)) for mood in _MOODS],
        quality=[(f"{one.from_:g} to {one.to:g}", one.n) for one in report.quality if one.n is not None],
        answers=[
            (one.question, one.n, [(answer.value, answer.n) for answer in one.values])
            for one in report.answers
        ],
        unhappy=unhappy[:_TOP],
        days=_days(report.per_day, since, until) if report.per_day else [],
        highest=max((day.n or 0 for day in report.per_day), default=0),
        bar=bar,
        columns=columns,
    )


def _days(counted: Sequence[DayCount], since: date, until: date) -> list[tuple[str, int | None]]:
    """Return every day of the period; of a long one the last days up to the last that has interviews."""
    numbers = {day.day: day.n for day in counted}
    if until - since > _LONGEST:
        until = date.fromisoformat(max(numbers)) + timedelta(days=1)
        since = max(since, until - _LONGEST)
    days = [(since + timedelta(days=n)).isoformat() for n in range((until - since).days)]
    return [(day, numbers.get(day, 0)) for day in days]
