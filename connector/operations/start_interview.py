"""Start one person's interview: the step of a Zap."""

from __future__ import annotations

import secrets
from typing import Any, Literal

from pydantic import Field

from connector.context import Context
from connector.domain.launches.credits import price
from connector.domain.launches.eligibility import LaunchRules, SkipReason, held
from connector.domain.launches.launch import Invitation, InvitationState, Launch, LaunchStatus, Phase
from connector.domain.people.same_person import Member, is_email, member
from connector.errors import Conflict, ConnectorError, InvalidInput, UpstreamRejected
from connector.service.execution.follow_up import status_url
from connector.service.execution.operation import Approver, Effect, Example, Operation, Output, quoted
from connector.service.execution.polling import Polling
from connector.service.input.launch_input import (
    PLAN_FIRST,
    PersonOptions,
    begun_before,
    decide_now,
    new_launch,
    require_koji,
)
from connector.service.launch_progress import LaunchPause, key_pause
from connector.service.views import examples
from connector.service.views.launch import INVITED, LaunchOutput, shown

Status = Literal["started", "pending", "already_invited", "skipped", "in_doubt"]
_STATUS: dict[InvitationState, Status] = {
    **dict.fromkeys(INVITED, "started"),
    InvitationState.IN_DOUBT: "in_doubt",
    InvitationState.FAILED: "skipped",
    InvitationState.CANCELLED: "skipped",
}
_PLAN_ONE = f"For one person call plan_cohort_launch with members of one. {PLAN_FIRST}"
_GOING = (InvitationState.WAITING, InvitationState.SENDING)


class StartInput(PersonOptions):
    """The person to interview: give email, user_id or both."""

    email: str | None = Field(None, max_length=1_024, description="The person's e-mail address.")
    user_id: str | None = Field(None, max_length=1_024, description="The person's Amplitude user id.")
    name: str | None = Field(None, max_length=1_024, description="What the interviewer calls the person.")


class StartOutput(Output):
    """One person's interview, flat."""

    status: Status = Field(
        description="started: the link is there. pending: it waits for its turn. already_invited: the person "
        "has this link already. skipped: see reason. in_doubt: Koji gave no answer; it is not started again."
    )
    interview_id: str | None = Field(description="Koji's id of the interview.")
    interview_link: str | None = Field(description="The link that the person opens.")
    email: str | None = Field(description="The person's e-mail, as given.")
    user_id: str | None = Field(description="The person's Amplitude user id, as given.")
    reason: str | None = Field(description="Why it was skipped; null otherwise.")
    launch_id: str | None = Field(description="The launch of one that it is, for get_launch.")
    status_url: str | None = Field(description="The address that tells how it goes on.")

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        """Tell where a pending start ends."""
        return ("get_launch", {"launch_id": self.launch_id}) if self.status == "pending" else None

    def kept(self) -> StartOutput:
        """Keep nothing of the person."""
        return self.model_copy(
            update={"interview_id": None, "interview_link": None, "email": None, "user_id": None}
        )

    def brought_up_to_date(self, present: Output) -> dict[str, Any]:
        """Return this answer after what its launch says."""
        values = self.model_dump(mode="json")
        if not isinstance(present, LaunchOutput) or not present.to_invite:
            return values
        if present.invited:
            values |= {"status": "started", "interview_id": present.interview_id}
            values |= {"interview_link": present.interview_link}
            for one in present.invitations[:1]:
                values |= {"email": one.email, "user_id": one.user_id}
        elif present.in_doubt:
            values["status"] = "in_doubt"
        elif present.failed or present.cancelled:
            values |= {"status": "skipped", "reason": "failed" if present.failed else "cancelled"}
        return values


async def run(ctx: Context, payload: StartInput) -> StartOutput:
    """Start it ahead of queued launches; wait for the link for `wait_seconds`."""
    person = _member(payload)
    connection = ctx.connection(payload.connection)
    require_koji(connection, allow_without_link=payload.allow_without_link)
    options = payload.options(connection)
    launch_id, begun = await begun_before(ctx)
    if begun is None:
        if known := await _known(ctx, payload, person):
            return known
        if pause := await key_pause(ctx, payload.connection, options):
            raise _paused(ctx, pause)
    launch = begun or new_launch(
        ctx, launch_id, payload.connection, options, goes_on=True, phase=Phase.DIRECT, single=True
    )
    if launch.phase is Phase.DIRECT:
        launch = await decide_now(ctx, launch, [[person]])
    if not launch.to_invite:  # another call invited the person between the two looks
        reason = next(iter(launch.skipped), "cancelled")
        skipped = _output(ctx, payload, "skipped", reason=reason, launch_id=launch.id)
        return await _known(ctx, payload, person) or skipped
    return await _until_started(ctx, payload, launch)


async def _approved(ctx: Context, payload: StartInput, approver: Approver) -> StartOutput:
    approver.require_way(_PLAN_ONE)
    connection = ctx.connection(payload.connection)
    credits_ = price(payload.options(connection), connection.koji_default_mode)
    question = (
        f"Start a Koji interview with {quoted(payload.email or payload.user_id)}? That can spend {credits_} Koji "
        "credits."
    )
    await approver.require(question, approver.state or secrets.token_hex(16))
    return await run(ctx, payload)


def _member(payload: StartInput) -> Member:
    if payload.email is None and payload.user_id is None:
        raise InvalidInput.of("email", "give email, user_id, or both")
    if payload.email is not None and not is_email(payload.email):
        raise InvalidInput.of("email", "is no e-mail address")
    return member(payload.user_id, payload.email, payload.name)


async def _known(ctx: Context, payload: StartInput, person: Member) -> StartOutput | None:
    """Return the answer for a person who was invited before, None for any other."""
    (keyed,) = ctx.ledger.aliases.keyed(payload.connection, [person])
    earlier = await ctx.ledger.attribution.of_person(keyed[1])
    if earlier is None or earlier.taken_at is None:
        return None
    (told,) = await ctx.ledger.aliases.history([keyed])
    if len(told) > 1:  # this call names an alias that was not known yet
        await ctx.ledger.aliases.learn(keyed)
    rules = LaunchRules(1, payload.reinvite_after_days)
    now = ctx.clock.now()
    # a person who waits for a start counts as invited, whatever `reinvite_after_days` says
    reason = held(now + 1 if earlier.state in _GOING else earlier.taken_at, rules, now)
    if reason is SkipReason.ALREADY:
        in_doubt = earlier.state is InvitationState.IN_DOUBT
        return _output(ctx, payload, "in_doubt" if in_doubt else "already_invited", earlier)
    return None if reason is None else _output(ctx, payload, "skipped", reason=str(reason))


async def _until_started(ctx: Context, payload: StartInput, launch: Launch) -> StartOutput:
    async def read(_: Launch) -> Launch:
        return await ctx.ledger.launches.find(launch.id) or launch

    one: Invitation | None = None
    async for present in Polling(
        ctx, payload.wait_seconds, await read(launch), read, first=0.01, longest=0.25
    ):
        found = await ctx.ledger.launches.invitations(launch.id, list(InvitationState), limit=1, after=-1)
        one = found[0] if found else None
        if one is None or one.state not in _GOING:
            break
        if present.status is LaunchStatus.PAUSED:
            # Koji surely refused it: nothing stays queued behind a pause of the key
            await ctx.ledger.launches.cancel(launch.id, ctx.clock.now())
            pause = await key_pause(ctx, payload.connection, launch.options)
            raise _paused(ctx, pause or LaunchPause(present.pause_reason or "", None, "Koji refused the key"))
    if one is None:
        return _output(ctx, payload, "skipped", launch_id=launch.id)
    status = _STATUS.get(one.state, "pending")
    reason = one.reason or one.state.value if status == "skipped" else None
    output = _output(ctx, payload, status, one, reason=reason)
    if one.state is InvitationState.FAILED:
        words = one.words or "Koji refused to start this interview."
        raise UpstreamRejected(words, result=output.model_dump(mode="json"))
    return output


def _paused(ctx: Context, pause: LaunchPause) -> ConnectorError:
    if pause.until is None:
        after, then = None, " Then resume_launch, or check_connection."
    else:
        after, then = max(1, -(-(pause.until - ctx.clock.now()) // 1000)), ""
    said = f"{pause.words.rstrip('.')}. Nothing was started.{then}"
    return Conflict(said, code=pause.code, retry_after=after)


def _output(
    ctx: Context,
    payload: StartInput,
    status: Status,
    one: Invitation | None = None,
    *,
    reason: str | None = None,
    launch_id: str | None = None,
) -> StartOutput:
    launch_id = one.launch_id if one else launch_id
    arguments = {"connection": payload.connection, "launch_id": launch_id}
    return StartOutput(
        status=status,
        interview_id=one.interview_id if one else None,
        interview_link=one.link if one else None,
        email=payload.email,
        user_id=payload.user_id,
        reason=reason,
        launch_id=launch_id,
        status_url=status_url("get_launch", arguments, ctx.settings.public_url) if launch_id else None,
    )


async def _recall(ctx: Context, payload: StartInput, kept: StartOutput) -> StartOutput:
    """Show the link again that the person has by now."""
    told: dict[str, Any] = {"email": payload.email, "user_id": payload.user_id}
    launch = await ctx.ledger.launches.find(kept.launch_id) if kept.launch_id else None
    found: LaunchOutput | StartOutput | None = None
    if launch is not None and launch.single:
        found = await shown(ctx, launch)
    elif kept.status != "skipped":
        found = await _known(ctx, payload, _member(payload))
    if found is not None:
        told |= {"interview_id": found.interview_id, "interview_link": found.interview_link}
    return kept.model_copy(update=told)


START_INTERVIEW = Operation(
    name="start_interview",
    title="Start an interview",
    summary="Start one person's Koji interview and return its link: the step of a Zap. Overtakes queued "
    "launches. Somebody who was invited before gets the existing link and is not asked twice. Spends Koji "
    "credits.",
    guidance="The person who uses the client is asked first where that can be done, else it is refused. Not "
    "for many people: plan_cohort_launch.",
    example=Example(
        examples.PERSON,
        examples.whole(
            StartOutput,
            status="started",
            interview_id=examples.INTERVIEW_ID,
            interview_link=f"https://www.koji.so/interview?id={examples.INTERVIEW_ID}",
            email=examples.PERSON["email"],
            user_id=examples.PERSON["user_id"],
            launch_id=examples.LAUNCH_ID,
        ),
    ),
    input=StartInput,
    output=StartOutput,
    run=run,
    effect=Effect.SEND,
    approved=_approved,
    recall=_recall,
)
