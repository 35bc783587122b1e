"""Decide which people of a cohort would be invited, and send nothing."""

from __future__ import annotations

from connector.context import Context
from connector.domain.launches.launch import Launch
from connector.errors import InvalidInput
from connector.service.execution.operation import Effect, Example, Operation
from connector.service.input.launch_input import CohortOptions, begin
from connector.service.launch_progress import until_ended
from connector.service.views import examples
from connector.service.views.launch import LaunchOutput, recall, shown


class PlanInput(CohortOptions):
    """The people to plan for: give cohort_id or members."""


async def run(ctx: Context, payload: PlanInput) -> LaunchOutput:
    """Plan the launch; wait for the plan for `wait_seconds`."""
    if (payload.cohort_id is None) == (payload.members is None):
        raise InvalidInput.of("cohort_id", "give exactly one of cohort_id and members")
    return await plan(ctx, payload, goes_on=False)


async def plan(ctx: Context, payload: CohortOptions, *, goes_on: bool) -> LaunchOutput:
    """Begin a launch, or only its plan; return how far it came."""
    return await outcome(ctx, await begin(ctx, payload, goes_on=goes_on), payload.wait_seconds)


async def outcome(ctx: Context, launch: Launch, seconds: float) -> LaunchOutput:
    """Wait for the end of a launch for `seconds`; return how far it came. Raises what ended its planning."""
    output = await shown(ctx, await until_ended(ctx, launch, seconds))
    await output.raise_failure(ctx)
    return output


PLAN_COHORT_LAUNCH = Operation.of(
    run,
    subject="launches",
    title="Plan a cohort launch",
    summary="Decide who of a cohort would be invited to an interview, who not and why, and what it costs in "
    "credits. No person is contacted and nothing is spent. The answer carries a plan_token, with which "
    "launch_cohort_interviews invites exactly these people within 10 minutes. Use it before every launch.",
    guidance="Not for a launch's progress: get_launch.",
    example=Example(
        {"members": [examples.PERSON]},
        {
            **examples.LAUNCH,
            "status": "planned",
            "waiting": 1,
            "invited": 0,
            "invitations": [],
            "plan_token": "plan_sample",
            "plan_expires_at": "2025-11-21T12:00:00Z",
        },
    ),
    effect=Effect.WRITE,
    recall=recall,
)
