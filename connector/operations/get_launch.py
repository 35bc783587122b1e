"""Show how far a launch is, and who was invited."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from connector.context import Context
from connector.domain.launches.launch import InvitationState
from connector.service.execution.operation import Effect, Example, ListInput, Operation
from connector.service.execution.paging import Cursor
from connector.service.views import examples
from connector.service.views.launch import INVITED, LaunchOutput, find, shown

_Decided = Literal["planned", "holdout"]
State = Literal[
    _Decided, "waiting", "sending", "started", "completed", "expired", "failed", "in_doubt", "cancelled"
]
_CURSOR: Cursor[int] = Cursor(Annotated[int, Field(ge=0, lt=2**31)])


class GetLaunchInput(ListInput):
    """The launch to show, and which of its people."""

    launch_id: str = Field(min_length=1, max_length=64, description="The launch's id.")
    state: State | None = Field(
        None, description="Only people in this state, planned: of a plan; without it those who were invited."
    )


class GetLaunchOutput(LaunchOutput):
    """A launch with one page of its people."""

    next_cursor: str | None = Field(
        description="Give it as cursor to get the next page of invitations; null on the last one."
    )
    has_more: bool = Field(description="Whether there is a next page of invitations.")

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        """End here: looking starts nothing."""
        return None


async def run(ctx: Context, payload: GetLaunchInput) -> GetLaunchOutput:
    """Return the launch with one page of invitations, in the cohort's order."""
    launch = await find(ctx, payload.launch_id, payload.connection)
    states = INVITED if payload.state is None else (InvitationState(payload.state),)
    after = -1 if (place := _CURSOR.read(payload.cursor)) is None else place
    people = await ctx.ledger.launches.invitations(launch.id, states, limit=payload.limit + 1, after=after)
    output = await shown(ctx, launch, people[: payload.limit])
    cursor = _CURSOR.after(people, payload.limit, lambda invitation: invitation.position)
    return GetLaunchOutput(**output.model_dump(), next_cursor=cursor, has_more=cursor is not None)


GET_LAUNCH = Operation.of(
    run,
    subject="launches",
    title="Get a launch",
    summary="Show how far a launch is: counts by state, why it waits, about how long the rest takes, and the "
    "people with their interview links, page by page. Changes nothing.",
    guidance="Not for finding a launch: list_launches.",
    example=Example(
        {"launch_id": examples.LAUNCH_ID},
        examples.whole(GetLaunchOutput, **examples.LAUNCH, next_cursor=None, has_more=False),
    ),
    effect=Effect.READ,
)
