"""List Amplitude's cohorts, for drop-downs."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import BaseModel, Field

from connector.context import Context
from connector.domain.launches.launch import Cohort
from connector.errors import NotConfigured
from connector.service.execution.operation import Effect, Example, ListInput, Operation
from connector.service.execution.paging import Cursor, Page
from connector.service.views import examples


class CohortItem(BaseModel):
    """One cohort."""

    id: str = Field(description="The id to give as cohort_id.")
    name: str = Field(description="The cohort's name in Amplitude.")
    size: int | None = Field(description="How many people Amplitude counted last; null when it does not say.")


class ListCohortsOutput(Page[CohortItem]):
    """The cohorts."""

    items: list[CohortItem] = Field(description="Cohorts by name.")


_CURSOR: Cursor[tuple[str, str]] = Cursor(tuple[str, str])


async def run(ctx: Context, payload: ListInput) -> ListCohortsOutput:
    """Return one page of the cohorts that Amplitude lists; this counts against no download limit."""
    cohorts = ctx.amplitude_cohorts.get(payload.connection)
    if cohorts is None:
        keys, then = "AMPLITUDE_API_KEY or AMPLITUDE_SECRET_KEY", "cohorts cannot be listed without both"
        raise NotConfigured.of(keys, payload.connection, then)
    after = _CURSOR.read(payload.cursor)
    listed = sorted(await cohorts.listed(), key=_place)
    left = [cohort for cohort in listed if after is None or _place(cohort) > after]
    items = [CohortItem(**asdict(cohort)) for cohort in left[: payload.limit]]
    return ListCohortsOutput.of(items, _CURSOR.after(left, payload.limit, _place))


def _place(cohort: Cohort) -> tuple[str, str]:
    return cohort.name.casefold(), cohort.id


LIST_COHORTS = Operation.of(
    run,
    subject="launches",
    title="List cohorts",
    summary="List the cohorts that can be found in Amplitude, with id, name and size. Use it to choose a "
    "cohort_id. Downloads nothing and changes nothing.",
    guidance="Not for who is in a cohort: plan_cohort_launch counts them.",
    example=Example(
        {}, examples.page({"id": examples.COHORT_ID, "name": "Onboarding drop-off", "size": 120})
    ),
    effect=Effect.READ,
)
