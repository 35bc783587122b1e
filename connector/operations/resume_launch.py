"""Resume a paused launch, and decide over starts of unknown outcome."""

from __future__ import annotations

import secrets
from typing import Literal

from pydantic import Field

from connector.context import Context
from connector.domain.launches.launch import Launch, LaunchStatus
from connector.domain.launches.respondent_link import lacks_link
from connector.errors import Conflict, InvalidInput
from connector.service.execution.operation import (
    Approver,
    ConsentRequired,
    Effect,
    Example,
    Operation,
    WaitInput,
)
from connector.service.input.launch_input import WITHOUT_LINK
from connector.service.launch_progress import key_pause, until_ended
from connector.service.launch_tokens import check_resume_token, cost, resume_token
from connector.service.views import examples
from connector.service.views.launch import LaunchOutput, find, recall, shown
from connector.settings.rules import start_rules


class ResumeLaunchInput(WaitInput):
    """The launch to resume, and what to do with its starts of unknown outcome."""

    launch_id: str = Field(min_length=1, max_length=64, description="The launch's id.")
    in_doubt: Literal["retry", "give_up"] | None = Field(
        None,
        description="What to do with starts of unknown outcome, also of a finished launch. retry: start them "
        "again; people who were in fact started get a second interview. give_up: count them as failed; they "
        "are not asked again. Look into Koji first.",
    )
    resume_token: str | None = Field(
        None,
        max_length=200,
        description="From get_launch: the person agreed to the people and credits that its message names.",
    )


async def run(ctx: Context, payload: ResumeLaunchInput) -> LaunchOutput:
    """End the pause and try the key again; wait for the end for `wait_seconds`."""
    launch = await find(ctx, payload.launch_id, payload.connection)
    if launch.status is LaunchStatus.CANCELLED and payload.in_doubt != "give_up":
        raise Conflict("launch_id: this launch is cancelled; launch anew instead.", code="launch_cancelled")
    if payload.in_doubt != "give_up" and lacks_link(start_rules(ctx.connection(payload.connection)), launch):
        raise InvalidInput.of("launch_id", f"{WITHOUT_LINK}; set it, then resume", code="no_link")
    if payload.resume_token is not None:
        retry = payload.in_doubt == "retry"
        check_resume_token(ctx, launch, payload.resume_token, _would_start(launch, payload), retry=retry)
    lane = ctx.connection(payload.connection).koji_lane
    if lane is not None:
        await ctx.ledger.leases.resume(lane)
    launch = await ctx.ledger.launches.resume(launch.id, payload.in_doubt, ctx.clock.now()) or launch
    ctx.wake("koji", "links", "launches")
    launch = await until_ended(ctx, launch, payload.wait_seconds)
    return await shown(ctx, launch)


async def _approved(ctx: Context, payload: ResumeLaunchInput, approver: Approver) -> LaunchOutput:
    if payload.resume_token is not None:
        return await run(ctx, payload)
    launch = await find(ctx, payload.launch_id, payload.connection)
    people, retry = _would_start(launch, payload), payload.in_doubt == "retry"
    asked = f"{cost(ctx, launch, people)}.{' Some of them may get a second interview.' if retry else ''}"
    command = f"koji-amplitude resume-launch --launch-id {launch.id}"
    approver.require_way(
        f"It starts {asked} After the person's yes to that, call again within 10 minutes with resume_token "
        f"{resume_token(ctx, launch, people, retry=retry)}; or a person runs: {command}"
    )
    question = f"Let the launch {launch.id} go on? It starts {asked}{await _others(ctx, launch)}"
    # the state carries the number: a cohort's webhook may bring more people before the answer
    state = approver.state or f"{people} {secrets.token_hex(16)}"
    await approver.require(question, state)
    launch = await find(ctx, payload.launch_id, payload.connection)
    if _would_start(launch, payload) > int(state.partition(" ")[0]):
        raise ConsentRequired(
            "More people wait now than the question said. Nothing was started and nothing was spent. "
            "Call again to ask once more."
        )
    return await run(ctx, payload)


async def _others(ctx: Context, launch: Launch) -> str:
    pause = await key_pause(ctx, launch.connection, launch.options)
    if pause is None or pause.until is not None:  # none, or one that ends by itself
        return ""
    return " Other launches that the pause of the same key holds go on as well, as they were approved."


def _would_start(launch: Launch, payload: ResumeLaunchInput) -> int:
    return launch.left + launch.planned + (launch.in_doubt if payload.in_doubt == "retry" else 0)


RESUME_LAUNCH = Operation.of(
    run,
    subject="launches",
    title="Resume a launch",
    summary="Let a paused launch go on after its cause was mended (credits, key, permission, link), and "
    "try Koji's key again. A launch that waits for approval invites all who wait then. With in_doubt, decide "
    "over starts of unknown outcome. Starts interviews and spends credits.",
    guidance="The person is asked first where the client can ask; where it cannot, a resume_token is "
    "needed. Not for a pause that ends by itself (resumes_at).",
    example=Example({"launch_id": examples.LAUNCH_ID, "in_doubt": "retry"}, examples.LAUNCH),
    effect=Effect.SEND,
    approved=_approved,
    recall=recall,
)
