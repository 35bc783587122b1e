"""What can start interviews runs behind a question: an operation, with its consent before it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from connector.context import Context
from connector.domain.launches.credits import cost
from connector.domain.launches.launch import Launch
from connector.operations.launch_cohort_interviews import LAUNCH_COHORT_INTERVIEWS, LaunchInput
from connector.operations.resume_launch import RESUME_LAUNCH, ResumeLaunchInput
from connector.operations.start_interview import START_INTERVIEW, StartInput
from connector.service.execution.operation import AnyOperation, Input, Output
from connector.service.views.launch import LaunchOutput, find, key_pause
from connector.text.redaction import cut
from mcp_server.answers.untrusted import clean
from mcp_server.tools.consent import Consent, ConsentRequired

PLANNING_SECONDS: Final = 25
_NAME = 80
_PLAN_FIRST = (
    "Call plan_cohort_launch, show its counts and credits to the user, and call launch_cohort_interviews "
    "with its plan_token."
)
_PLAN_ONE = "For one person call plan_cohort_launch with members of one. " + _PLAN_FIRST
_COMMAND = "A person can resume it with: koji-amplitude resume-launch --launch-id {}"

Door = Callable[[Context, Any, Consent], Coroutine[Any, Any, Output]]


def guarded(op: AnyOperation, consent: Consent) -> AnyOperation:
    """Return the operation with its question before it, or as it is when it can start nothing."""
    door = _DOORS.get(op.name)
    if door is None:
        return op

    async def run(ctx: Context, given: Input) -> Output:
        return await door(ctx, given, consent)

    return replace(op, run=run)


def keyed(op: AnyOperation, given: Input, consent: Consent) -> Input:
    """Return the input with a key of its own, so that an answer which arrives twice starts one thing."""
    if op.name not in _DOORS or consent.state is None or getattr(given, "idempotency_key", None):
        return given
    return given.model_copy(update={"idempotency_key": f"approved {consent.state}"})


async def _launch(ctx: Context, given: LaunchInput, consent: Consent) -> Output:
    if given.plan_token is not None or given.dry_run:
        return await LAUNCH_COHORT_INTERVIEWS.run(ctx, given)
    token = consent.state
    if token is None:
        consent.require_way(_PLAN_FIRST)
        plan = await _planned(ctx, given)
        if plan.plan_token is None:  # still being decided over, or launched by an earlier try
            return plan
        token = plan.plan_token
        if not plan.to_invite:
            return await _of_plan(ctx, given, token)
        await consent.require(_question(plan), token)
    else:
        await consent.require("", token)
    return await _of_plan(ctx, given, token)


async def _planned(ctx: Context, given: LaunchInput) -> LaunchOutput:
    dry = given.model_copy(update={"dry_run": True, "wait_seconds": PLANNING_SECONDS})
    plan = await LAUNCH_COHORT_INTERVIEWS.run(ctx, dry)
    launch = await ctx.ledger.launches.find(plan.launch_id)
    if plan.plan_token is not None and launch is not None and _is_old(launch, ctx.clock.now()):
        # of an earlier try with this key, whose question lay too long
        plan = await LAUNCH_COHORT_INTERVIEWS.run(replace(ctx, request=None), dry)
    return plan


def _is_old(launch: Launch, now: int) -> bool:
    return launch.expires_at is not None and launch.expires_at <= now


async def _of_plan(ctx: Context, given: LaunchInput, token: str) -> LaunchOutput:
    asked = {"connection": given.connection, "plan_token": token, "wait_seconds": given.wait_seconds}
    return await LAUNCH_COHORT_INTERVIEWS.run(ctx, LaunchInput.model_validate(asked))


def _question(plan: LaunchOutput) -> str:
    whom = f"of the cohort {_quoted(plan.cohort_name or plan.cohort_id)}" if plan.cohort_id else "of the list"
    skipped = sum(plan.skipped.values())
    not_asked = f" {skipped} others are not invited." if skipped else ""
    return (
        f"Invite {plan.to_invite} people {whom} to Koji interviews? That can spend up to "
        f"{plan.credits_estimate} Koji credits.{not_asked}"
    )


async def _start(ctx: Context, given: StartInput, consent: Consent) -> Output:
    consent.require_way(_PLAN_ONE)
    connection = ctx.connection(given.connection)
    credits_ = cost(given.mode or connection.mode or connection.koji_default_mode)
    whom = _quoted(given.email or given.user_id)
    question = f"Start a Koji interview with {whom}? That can spend {credits_} Koji credits."
    await consent.require(question, consent.state or secrets.token_hex(16))
    return await START_INTERVIEW.run(ctx, given)


async def _resume(ctx: Context, given: ResumeLaunchInput, consent: Consent) -> Output:
    launch = await find(ctx, given.launch_id, given.connection)
    consent.require_way(_COMMAND.format(launch.id))
    connection = ctx.connection(given.connection)
    people = _would_start(launch, given)
    credits_ = people * cost(launch.options.mode or connection.koji_default_mode)
    again = " Some of them may get a second interview." if given.in_doubt == "retry" else ""
    question = (
        f"Let the launch {launch.id} go on? {people} people wait for their interview; that can spend up to "
        f"{credits_} Koji credits.{again}{await _others(ctx, launch)}"
    )
    # the number travels with the question: a cohort's webhook may bring more people before the answer
    state = consent.state or f"{people} {secrets.token_hex(16)}"
    await consent.require(question, state)
    launch = await find(ctx, given.launch_id, given.connection)
    if _would_start(launch, given) > int(state.partition(" ")[0]):
        raise ConsentRequired(
            "More people wait now than the question said. Nothing was started and nothing was spent. "
            "Call again to ask once more."
        )
    return await RESUME_LAUNCH.run(ctx, given)


async def _others(ctx: Context, launch: Launch) -> str:
    pause = await key_pause(ctx, launch.connection, launch.options.mode)
    if pause is None or pause[1] is not None:  # none, or one that ends by itself
        return ""
    return " Other launches that the pause of the same key holds go on as well, as they were approved."


def _would_start(launch: Launch, given: ResumeLaunchInput) -> int:
    return launch.left + launch.planned + (launch.in_doubt if given.in_doubt == "retry" else 0)


def _quoted(name: str | None) -> str:
    return f"“{cut(' '.join(clean(name or '').split()), _NAME)}”"


_DOORS: Final[dict[str, Door]] = {
    LAUNCH_COHORT_INTERVIEWS.name: _launch,
    START_INTERVIEW.name: _start,
    RESUME_LAUNCH.name: _resume,
}
