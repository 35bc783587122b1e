"""Invite a cohort to interviews."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from connector.context import Context
from connector.domain.launches.launch import Launch, LaunchStatus, Phase
from connector.errors import Conflict, InvalidInput, NotFound
from connector.operations.plan_cohort_launch import outcome, plan
from connector.service import planning
from connector.service.execution.operation import Approver, Effect, Example, Operation, quoted
from connector.service.input.launch_input import PLAN_FIRST, CohortOptions, require_koji
from connector.service.launch_tokens import launch_id_of
from connector.service.views import examples
from connector.service.views.launch import LaunchOutput, recall
from connector.text.values import counted, people_of

_ACTIVATED_HERE = 500
_PLANNING_SECONDS = 25
_ASIDE = frozenset(
    {"plan_token", "connection", "dry_run", "wait_seconds", "idempotency_key", "members", "cohort_id"}
)


class LaunchInput(CohortOptions):
    """The people to invite: give exactly one of cohort_id, members and plan_token."""

    plan_token: str | None = Field(
        None, max_length=200, description="From plan_cohort_launch: invite exactly the people of that plan."
    )
    dry_run: bool = Field(default=False, description="Only plan; the same as plan_cohort_launch.")


async def run(ctx: Context, payload: LaunchInput) -> LaunchOutput:
    """Launch; wait for the end for `wait_seconds`."""
    if [payload.cohort_id, payload.members, payload.plan_token].count(None) != 2:
        raise InvalidInput.of("cohort_id", "give exactly one of cohort_id, members and plan_token")
    if payload.plan_token is None:
        return await plan(ctx, payload, goes_on=not payload.dry_run)
    launch = await _of_plan(ctx, payload, payload.plan_token)
    return await outcome(ctx, launch, payload.wait_seconds)


async def _of_plan(ctx: Context, payload: LaunchInput, token: str) -> Launch:
    """Launch the people of a plan; return the launch that a used plan started before."""
    launch = await ctx.ledger.launches.find(launch_id_of(ctx, token))
    if launch is None:
        raise NotFound(
            "plan_token: this plan is gone; unused plans are deleted after an hour. Plan again.",
            code="plan_gone",
        )
    _refuse_contradictions(payload, launch)
    if payload.dry_run or launch.status is not LaunchStatus.PLANNED:
        return launch
    require_koji(ctx.connection(launch.connection), allow_without_link=launch.options.allow_without_link)
    launch = await ctx.ledger.planning.use_plan(launch.id, ctx.clock.now()) or launch
    if launch.status is LaunchStatus.PLANNED:
        raise Conflict(
            "plan_token: this plan is older than 10 minutes; plan again and look at it.", code="plan_expired"
        )
    if launch.phase is Phase.ACTIVATE and launch.planned <= _ACTIVATED_HERE:
        await planning.activate(ctx, launch)
    ctx.wake("launches")
    return await ctx.ledger.launches.find(launch.id) or launch


def _refuse_contradictions(payload: LaunchInput, launch: Launch) -> None:
    """Raise `InvalidInput` (`plan_mismatch`) for an argument that says something else than the plan."""
    planned = {name: getattr(launch.options, name) for name in payload.model_fields_set - _ASIDE}
    given = payload.model_dump(exclude_none=True)
    wrong = [name for name, value in planned.items() if given.get(name) != value]
    if payload.connection != launch.connection:
        wrong.append("connection")
    if wrong:
        name = min(wrong)
        raise InvalidInput.of(name, "contradicts the plan; leave it out, or plan again", code="plan_mismatch")


async def _approved(ctx: Context, payload: LaunchInput, approver: Approver) -> LaunchOutput:
    """Launch the plan that a person approves: the question describes it, and the approval is for it alone."""
    if payload.plan_token is not None or payload.dry_run:
        return await run(ctx, payload)
    token, question = approver.state, ""
    if token is None:
        approver.require_way(PLAN_FIRST)
        plan = await _planned(ctx, payload)
        token = plan.plan_token
        if token is None:  # still being decided over, or launched by an earlier try
            return plan
        question = _question(plan) if plan.to_invite else ""
    if approver.state is not None or question:
        await approver.require(question, token)
    asked = {"connection": payload.connection, "plan_token": token, "wait_seconds": payload.wait_seconds}
    return await run(ctx, LaunchInput.model_validate(asked))


async def _planned(ctx: Context, payload: LaunchInput) -> LaunchOutput:
    dry = payload.model_copy(update={"dry_run": True, "wait_seconds": _PLANNING_SECONDS})
    plan = await run(ctx, dry)
    launch = await ctx.ledger.launches.find(plan.launch_id)
    is_old = launch is not None and launch.expires_at is not None and launch.expires_at <= ctx.clock.now()
    if plan.plan_token is not None and is_old:
        # an earlier try with this key made it, and its question was answered too late
        plan = await run(replace(ctx, request=None), dry)
    return plan


def _question(plan: LaunchOutput) -> str:
    people = (
        f"of the cohort {quoted(plan.cohort_name or plan.cohort_id)}" if plan.cohort_id else "of the list"
    )
    skipped = sum(plan.skipped.values())
    not_asked = f" Not invited: {people_of(skipped)}." if skipped else ""
    return (
        f"Invite {people_of(plan.to_invite)} {people} to Koji interviews? That can spend up to "
        f"{counted(plan.credits_estimate, 'Koji credit', 'Koji credits')}.{not_asked}"
    )


LAUNCH_COHORT_INTERVIEWS = Operation.of(
    run,
    subject="launches",
    title="Launch cohort interviews",
    summary="Invite the people of an Amplitude cohort, of a list, or of a plan to Koji interviews: each gets "
    "one interview and one link, no person is asked twice. Spends Koji credits, within the settings' caps. "
    "Plan first with plan_cohort_launch.",
    guidance="The person is asked first where the client can ask; where it cannot, a plan_token is needed. "
    "Not for one person: start_interview.",
    example=Example({"cohort_id": examples.COHORT_ID, "max_interviews": 20}, examples.LAUNCH),
    effect=Effect.SEND,
    approved=_approved,
    recall=recall,
)
