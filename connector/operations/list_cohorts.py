"""List Amplitude's cohorts, for drop-downs."""

from __future__ import annotations

from pydantic import BaseModel, Field

from connector.context import Context
from connector.errors import NotConfigured
from connector.service.execution.operation import Effect, Example, ListInput, Operation, Output
from connector.service.views import examples


class CohortItem(BaseModel):
    """One cohort."""

    id: str = Field(description="The id to give as cohort_id.")
    name: str = Field(description="The cohort's name in Amplitude.")
    size: int | None = Field(description="How many people Amplitude counted last; null when it does not say.")


class ListCohortsOutput(Output):
    """The cohorts."""

    items: list[CohortItem] = Field(description="Cohorts by name.")
    next_cursor: str | None = Field(
        description="Give it as cursor to get the next page; null on the last one."
    )
    has_more: bool = Field(description="Whether there is a next page.")


async def run(ctx: Context, given: ListInput) -> ListCohortsOutput:
    """Return one page of the cohorts that Amplitude lists; this counts against no download limit."""
    cohorts = ctx.amplitude_cohorts.get(given.connection)
    if cohorts is None:
        raise NotConfigured(
            "AMPLITUDE_API_KEY and AMPLITUDE_SECRET_KEY are not both set for the connection "
            f"{given.connection}; cohorts cannot be listed without them."
        )
    listed = sorted(await cohorts.listed(), key=lambda one: (one.name.casefold(), one.id))
    keys = [f"{one.name.casefold()}\0{one.id}" for one in listed]
    left = [one for one, key in zip(listed, keys, strict=True) if given.cursor is None or key > given.cursor]
    page = left[: given.limit]
    more = len(left) > given.limit
    last = page[-1] if page else None
    return ListCohortsOutput(
        items=[CohortItem(id=one.id, name=one.name, size=one.size) for one in page],
        next_cursor=f"{last.name.casefold()}\0{last.id}" if more and last else None,
        has_more=more,
    )


LIST_COHORTS = Operation(
    name="list_cohorts",
    title="List cohorts",
    summary=(
        "List the cohorts that can be found in Amplitude, with id, name and size. Use it to choose a "
        "cohort_id. Downloads nothing and changes nothing."
    ),
    guidance="Not for who is in a cohort: plan_cohort_launch counts them.",
    example=Example(
        {}, examples.page({"id": examples.COHORT_ID, "name": "Onboarding drop-off", "size": 120})
    ),
    input=ListInput,
    output=ListCohortsOutput,
    run=run,
    effect=Effect.READ,
)
