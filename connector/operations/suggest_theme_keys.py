"""Group the labels that were seen, for a person who writes a vocabulary of themes."""

from __future__ import annotations

from pydantic import BaseModel, Field

from connector.apart import apart
from connector.context import Context
from connector.domain.launches.credits import day_of
from connector.domain.results.tally import LEAST, Kind
from connector.domain.results.theme_groups import groups_of
from connector.service.execution.operation import Effect, Example, Input, Operation, Output
from connector.service.execution.paging import bounds

_ANY_DAY = 10_000_000


class SuggestInput(Input):
    """The days whose interviews count."""

    since: str | None = Field(None, description="First day, ISO 8601; in UTC.")
    until: str | None = Field(None, description="The day after the last one, ISO 8601.")


class LabelCount(BaseModel):
    """One label."""

    label: str = Field(description="The label in lower case.")
    count: int = Field(description="Interviews with it.")


class Suggestion(BaseModel):
    """Labels that seem to say the same."""

    key: str = Field(description="A key of themes.toml that fits, else a new one.")
    count: int = Field(description="The labels' counts together.")
    labels: list[LabelCount] = Field(description="The commonest first.")


class Suggestions(Output):
    """Groups of labels without a theme."""

    items: list[Suggestion] = Field(description="The commonest first.")
    hidden: int = Field(description=f"Labels that fewer than {LEAST} interviews have.")


async def run(ctx: Context, payload: SuggestInput) -> Suggestions:
    """Group the labels that the vocabulary gives no key."""
    since, until = bounds(payload.since, payload.until)
    first = 0 if since is None else day_of(since)
    last = _ANY_DAY if until is None else day_of(until - 1)
    totals = await ctx.ledger.tallies.of_days(payload.connection, first, last, [Kind.THEME])
    vocabulary = ctx.connection(payload.connection).connector_themes_file
    labels = {
        label: n
        for (_, label, _), n in totals.cells.items()
        if vocabulary is None or vocabulary.key_of(label) is None
    }
    names = vocabulary.names if vocabulary else {}
    groups = await apart(ctx.caller.name, 100 * len(labels), groups_of, labels, names)
    items = [
        Suggestion(
            key=key,
            count=sum(n for _, n in group),
            labels=[LabelCount(label=label, count=n) for label, n in group],
        )
        for key, group in groups
    ]
    items.sort(key=lambda item: -item.count)
    return Suggestions(items=items, hidden=totals.hidden)


_LABELS = [{"label": "pricing confusion", "count": 9}, {"label": "confusing pricing", "count": 7}]

SUGGEST_THEME_KEYS = Operation.of(
    run,
    subject="results",
    title="Suggest theme keys",
    summary="Group labels of synced interviews that say the same, without those that themes.toml has. A "
    "person decides and writes that file. Changes nothing.",
    guidance="Not for what people said: get_theme_report.",
    example=Example(
        {}, {"items": [{"key": "pricing_confusion", "count": 16, "labels": _LABELS}], "hidden": 4}
    ),
    effect=Effect.READ,
)
