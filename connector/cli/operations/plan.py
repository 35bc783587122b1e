"""Show the plan of a launch to the person who decides over it."""

from __future__ import annotations

from typing import Any, Final

from connector.cli.arguments import dashed, flag
from connector.cli.terminal import PROGRAM
from connector.context import Context
from connector.domain.launches.eligibility import SkipReason
from connector.domain.launches.launch import InvitationState
from connector.operations.launch_cohort_interviews import LAUNCH_COHORT_INTERVIEWS
from connector.service.execution.operation import Input, Output
from connector.service.launch_tokens import token_of
from connector.service.views.launch import LaunchOutput, item
from connector.settings.model import DEFAULT_CONNECTION
from connector.text.values import counted, people_of

_FIRST: Final = 5
_EXAMPLES: Final = 3
_ASKED: Final = frozenset({SkipReason.ALREADY, SkipReason.RECENTLY})


def with_token(ctx: Context, payload: Input) -> Input:
    """Replace the launch id of a plan by the plan's token; on this machine both stand for the same."""
    token: str | None = getattr(payload, "plan_token", None)
    is_id = token is not None and token.startswith("lau_")
    return payload.model_copy(update={"plan_token": token_of(ctx, str(token))}) if is_id else payload


async def with_first_people(ctx: Context, plan: Output) -> Output:
    """Add the first people to be invited, if the output is a plan."""
    if not isinstance(plan, LaunchOutput) or plan.status != "planned":
        return plan
    decided = (InvitationState.PLANNED, InvitationState.WAITING)
    people = await ctx.ledger.launches.invitations(plan.launch_id, decided, limit=_FIRST, after=-1)
    return plan.model_copy(update={"invitations": [item(ctx, person) for person in people]})


def question(plan: LaunchOutput) -> str:
    """Return the question that is asked before a plan is launched."""
    people = people_of(plan.to_invite)
    of = f" of {plan.cohort_name or plan.cohort_id}" if plan.cohort_id else ""
    return f"Invite {people}{of}, at most {counted(plan.credits_estimate, 'credit', 'credits')}?"


def table_of(plan: LaunchOutput) -> dict[str, Any]:
    """Return a plan for a table: counts by reason with a few examples, and the first people."""
    aside = {"status_url", "plan_token", "skipped_examples"}
    values = plan.model_dump(mode="json", exclude=aside, exclude_none=True)
    first = values.pop("invitations")
    values["skipped"] = [
        {"reason": reason, "people": people, "for_example": ", ".join(_examples(plan, reason))}
        for reason, people in plan.skipped.items()
    ]
    values["warnings"] = "\n".join(plan.warnings)
    return {**values, "first_to_invite": [{**person, "state": None} for person in first]}


def next_line(plan: LaunchOutput, connection: str) -> str:
    """Return the command that launches a plan, or why no person is left to invite."""
    if not plan.to_invite:
        was_asked = plan.skipped.keys() & _ASKED
        again = f" {flag('reinvite_after_days')} N invites them again." if was_asked else ""
        reasons = ", ".join(f"{people} {reason}" for reason, people in plan.skipped.items())
        return f"No person is left to invite: {reasons}.{again}"
    own = [] if connection == DEFAULT_CONNECTION else [flag("connection"), connection]
    words = [PROGRAM, dashed(LAUNCH_COHORT_INTERVIEWS.name), *own, flag("plan_token"), str(plan.plan_token)]
    return f"Next: {' '.join(words)}"


def _examples(plan: LaunchOutput, reason: str) -> list[str]:
    return [each.user_id for each in plan.skipped_examples if each.reason == reason][:_EXAMPLES]
