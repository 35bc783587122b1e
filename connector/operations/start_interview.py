"""Start one person's interview: the step of a Zap."""

from __future__ import annotations

import secrets
from typing import Any, Literal

from pydantic import Field

from connector.context import Context
from connector.domain.launches.credits import price
from connector.domain.launches.eligibility import LaunchRules, SkipReason, repeat_reason
from connector.domain.launches.launch import Invitation, InvitationState, Launch, LaunchStatus, Phase
from connector.domain.launches.rest import rest_of
from connector.domain.people.same_person import ERASED_PERSON, Member, member
from connector.errors import Conflict, ConnectorError, InvalidInput, UpstreamRejected
from connector.service import planning
from connector.service.execution.follow_up import status_url
from connector.service.execution.operation import Approver, Effect, Example, Operation, Output, quoted
from connector.service.execution.polling import poll
from connector.service.input.launch_input import (
    PLAN_FIRST,
    PersonOptions,
    begun_before,
    decide_now,
    new_launch,
    require_koji,
)
from connector.service.input.person_input import UserId
from connector.service.launch_progress import LaunchPause, key_pause, stored_pause
from connector.service.views import examples
from connector.service.views.launch import INVITED, LaunchOutput, opt_out_link, shown, with_link
from connector.service.views.sync import time_text
from connector.text.values import counted

Status = Literal["started", "pending", "already_invited", "skipped", "in_doubt"]
_STATUS: dict[InvitationState, Status] = {
    **dict.fromkeys(INVITED, "started"),
    InvitationState.IN_DOUBT: "in_doubt",
    InvitationState.FAILED: "skipped",
    InvitationState.CANCELLED: "skipped",
}
_PLAN_ONE = f"For one person call plan_cohort_launch with members of one. {PLAN_FIRST}"
_PERSONAL = ("interview_id", "interview_link", "opt_out_link", "email", "user_id")
_DAY = 86_400_000  # ms
_GOING = (InvitationState.WAITING, InvitationState.SENDING)


class StartInput(PersonOptions):
    """The person to interview: give email, user_id or both."""

    email: str | None = Field(None, max_length=1_024, description="The person's e-mail address.")
    user_id: UserId | None = Field(None, description="The person's Amplitude user id.")
    name: str | None = Field(None, max_length=1_024, description="What the interviewer calls the person.")


class StartOutput(Output):
    """One person's interview, flat."""

    status: Status = Field(
        description="started: the link is there. pending: it waits for its turn. already_invited: the person "
        "has this link already. skipped: see reason. in_doubt: Koji gave no answer; it is not started again."
    )
    interview_id: str | None = Field(description="Koji's id of the interview.")
    interview_link: str | None = Field(description="The link that the person opens.")
    opt_out_link: str | None = Field(description="The link by which the person says no to all invitations.")
    email: str | None = Field(description="The person's e-mail, without its wrapping.")
    user_id: str | None = Field(description="The person's Amplitude user id; null for a placeholder.")
    reason: str | None = Field(description="Why it was skipped; null otherwise.")
    until: str | None = Field(description="When the person may be asked again, ISO 8601 in UTC.")
    launch_id: str | None = Field(description="The launch of one that it is, for get_launch.")
    status_url: str | None = Field(description="The URL that shows the progress.")

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        """Tell where a pending start ends."""
        return ("get_launch", {"launch_id": self.launch_id}) if self.status == "pending" else None

    def kept(self) -> StartOutput:
        """Keep nothing of the person."""
        return self.model_copy(update=dict.fromkeys(_PERSONAL))

    def brought_up_to_date(self, present: Output) -> dict[str, Any]:
        """Return the values of this answer after those of its launch."""
        values = self.model_dump(mode="json")
        if not isinstance(present, LaunchOutput) or not present.to_invite:
            return values
        alone, own = present.to_invite == 1, {self.email, self.user_id} - {None}
        people = [each for each in present.invitations if alone or own & {each.email, each.user_id}]
        if people or (alone and present.invited):
            values |= {"status": "started"}
            for person in people[:1]:
                values |= {name: getattr(person, name) for name in _PERSONAL}
        elif not alone:  # the person waits in a launch of many, of which 50 are shown
            values |= {} if present.waiting else {"status": "already_invited"}
        elif present.in_doubt:
            values["status"] = "in_doubt"
        elif present.failed or present.cancelled:
            values |= {"status": "skipped", "reason": "failed" if present.failed else "cancelled"}
        return values


async def run(ctx: Context, payload: StartInput) -> StartOutput:
    """Start the interview ahead of queued launches; wait for the link for `wait_seconds`."""
    person = _member(payload)
    connection = ctx.connection(payload.connection)
    require_koji(connection, allow_without_link=payload.allow_without_link)
    options = payload.options(connection)
    launch_id, begun = await begun_before(ctx)
    if begun is None:
        if await _says_no(ctx, payload, person):
            return _output(ctx, payload, "skipped", reason=SkipReason.OPTED_OUT)
        if known := await _known_started(ctx, payload, person):
            return known
        if pause := await key_pause(ctx, payload.connection, options):
            raise _paused(ctx, pause)
    launch = begun or new_launch(
        ctx, launch_id, payload.connection, options, goes_on=True, phase=Phase.DIRECT, single=True
    )
    if launch.phase is Phase.DIRECT:
        launch = await decide_now(ctx, launch, [[person]])
    if not launch.to_invite:  # another call invited the person in the meantime
        reason = next(iter(launch.skipped), "cancelled")
        until = await _rests_until(ctx, launch, person) if reason == SkipReason.RESTING else None
        skipped = _output(ctx, payload, "skipped", reason=reason, launch_id=launch.id, until=until)
        return await _known_started(ctx, payload, person) or skipped
    return await _until_started(ctx, payload, launch)


async def _approved(ctx: Context, payload: StartInput, approver: Approver) -> StartOutput:
    approver.require_way(_PLAN_ONE)
    connection = ctx.connection(payload.connection)
    credits_ = price(payload.options(connection), connection.koji_default_mode)
    person = _member(payload)
    name = quoted(person.email or person.user_id)
    cost = counted(credits_, "Koji credit", "Koji credits")
    question = f"Start a Koji interview with {name}? That can spend {cost}."
    await approver.require(question, approver.state or secrets.token_hex(16))
    return await run(ctx, payload)


def _member(payload: StartInput) -> Member:
    person = member(payload.user_id, payload.email, payload.name)
    if person.has_bad_email:
        raise InvalidInput.of("email", "is no e-mail address")
    if person.email is None and person.user_id is None:
        if payload.user_id is not None:
            raise InvalidInput.of("user_id", "is a placeholder for a person; give email, user_id, or both")
        raise InvalidInput.of("email", "give email, user_id, or both")
    return person


async def _says_no(ctx: Context, payload: StartInput, person: Member) -> bool:
    """Tell whether a person opted out, and was not erased, which is told first.

    Whatever becomes of this start, a known person's new aliases are kept.
    """
    keyed = ctx.ledger.aliases.keyed(payload.connection, [person])
    history = await planning.history_of(ctx, payload.connection, keyed)
    known, recorded = history.known[0], history.recorded[0]
    if len(known) > 1 or recorded.is_partial:
        await ctx.ledger.attribution.learn(keyed[0])
        await ctx.ledger.register.learn(ctx.connection(payload.connection).user_id_space, person)
    persons = {standing.person for standing in known if standing is not None}
    return recorded.opted_out and ERASED_PERSON not in persons


async def _rests_until(ctx: Context, launch: Launch, person: Member) -> int | None:
    """Return when a resting person may be asked again (ms)."""
    keyed = ctx.ledger.aliases.keyed(launch.connection, [person])
    recorded = (await planning.history_of(ctx, launch.connection, keyed)).recorded[0]
    rest = rest_of(recorded.asked, planning.rules_of(ctx, launch).rests, ctx.clock.now())
    return None if rest is None else rest.until


async def _known(ctx: Context, payload: StartInput, person: Member) -> StartOutput | None:
    """Return the answer for a person who was invited before, or None for any other."""
    (keyed,) = ctx.ledger.aliases.keyed(payload.connection, [person])
    earlier = await ctx.ledger.attribution.of_person(keyed[1])
    if earlier is None or (taken_at := earlier.taken_at) is None:
        return None
    if _brings(person, earlier):
        await ctx.ledger.attribution.learn(keyed)
    rules = LaunchRules(1, payload.reinvite_after_days)
    now = ctx.clock.now()
    # a person who waits for a start counts as invited, whatever `reinvite_after_days` says
    reason = repeat_reason(now + 1 if earlier.state in _GOING else taken_at, rules, now)
    if reason is SkipReason.ALREADY:
        status: Status = "pending" if earlier.state in _GOING else "already_invited"
        if earlier.state is InvitationState.IN_DOUBT:
            status = "in_doubt"
        earlier = with_link(ctx, await ctx.ledger.launches.find(earlier.launch_id), earlier)
        return _output(ctx, payload, status, earlier)
    if reason is None:
        return None
    until = None if earlier.state in _GOING else taken_at + (payload.reinvite_after_days or 0) * _DAY
    return _output(ctx, payload, "skipped", reason=str(reason), until=until)


def _brings(person: Member, earlier: Invitation) -> bool:
    """Tell whether a call names what an invitation lacks and may still take."""
    own = earlier.user_id, earlier.email, earlier.name
    open_ = own if earlier.state is InvitationState.WAITING else own[:1]
    return any(was is None and now is not None for was, now in zip(open_, person, strict=False))


async def _known_started(ctx: Context, payload: StartInput, person: Member) -> StartOutput | None:
    """Return the answer of `_known`, after waiting up to `wait_seconds` for a start that is on its way."""

    async def read(_: StartOutput | None) -> StartOutput | None:
        return await _known(ctx, payload, person)

    known: StartOutput | None = None
    async for known in poll(ctx, payload.wait_seconds, await read(None), read, first=0.05):
        if known is None or known.status != "pending":
            break
    return known


async def _until_started(ctx: Context, payload: StartInput, launch: Launch) -> StartOutput:
    async def read(_: Launch) -> Launch:
        return await ctx.ledger.launches.find(launch.id) or launch

    invitation: Invitation | None = None
    async for present in poll(ctx, payload.wait_seconds, await read(launch), read, first=0.01, longest=0.25):
        people = await ctx.ledger.launches.invitations(launch.id, list(InvitationState), limit=1, after=-1)
        invitation = people[0] if people else None
        if invitation is None or invitation.state not in _GOING:
            break
        if present.status is LaunchStatus.PAUSED:
            # Koji refused it, so that it must not stay queued until the key works again
            pause = await stored_pause(ctx, present)
            await ctx.ledger.launches.cancel(launch.id, ctx.clock.now())
            raise _paused(ctx, pause)
    if invitation is None:
        return _output(ctx, payload, "skipped", launch_id=launch.id)
    status = _STATUS.get(invitation.state, "pending")
    reason = invitation.reason or invitation.state.value if status == "skipped" else None
    output = _output(ctx, payload, status, invitation, reason=reason)
    if invitation.state is InvitationState.FAILED:
        message = invitation.message or "Koji refused to start this interview."
        raise UpstreamRejected(message, result=output.model_dump(mode="json"))
    return output


def _paused(ctx: Context, pause: LaunchPause) -> ConnectorError:
    if pause.until is None:
        after, then = None, " Then resume_launch, or check_connection."
    else:
        after, then = max(1, -(-(pause.until - ctx.clock.now()) // 1000)), ""
    message = f"{pause.message.rstrip('.')}. Nothing was started.{then}"
    return Conflict(message, code=pause.code, retry_after=after)


def _output(
    ctx: Context,
    payload: StartInput,
    status: Status,
    invitation: Invitation | None = None,
    *,
    reason: str | None = None,
    launch_id: str | None = None,
    until: int | None = None,
) -> StartOutput:
    launch_id = invitation.launch_id if invitation else launch_id
    arguments = {"connection": payload.connection, "launch_id": launch_id}
    person = _member(payload)
    return StartOutput(
        status=status,
        interview_id=invitation.interview_id if invitation else None,
        interview_link=invitation.link if invitation else None,
        opt_out_link=opt_out_link(ctx, invitation) if invitation else None,
        email=person.email,
        user_id=person.user_id,
        reason=reason,
        until=time_text(until),
        launch_id=launch_id,
        status_url=status_url("get_launch", arguments, ctx.settings.public_url) if launch_id else None,
    )


async def _recall(ctx: Context, payload: StartInput, kept: StartOutput) -> StartOutput:
    """Show the link that the person has by now."""
    person = _member(payload)
    values: dict[str, Any] = {"email": person.email, "user_id": person.user_id}
    launch = await ctx.ledger.launches.find(kept.launch_id) if kept.launch_id else None
    present: LaunchOutput | StartOutput | None = None
    if launch is not None and launch.single:
        present = await shown(ctx, launch)
    elif kept.status != "skipped":
        present = await _known(ctx, payload, person)
    if present is not None:
        values |= {"interview_id": present.interview_id, "interview_link": present.interview_link}
        one = present.invitations[:1] if isinstance(present, LaunchOutput) else [present]
        values["opt_out_link"] = next((each.opt_out_link for each in one), None)
    return kept.model_copy(update=values)


START_INTERVIEW = Operation.of(
    run,
    subject="launches",
    title="Start an interview",
    summary="Start one person's Koji interview and return its link: the step of a Zap. Overtakes queued "
    "launches. A person who was invited before gets the existing link and is not asked twice. Spends Koji "
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
            opt_out_link=examples.OPT_OUT_LINK,
            email=examples.PERSON["email"],
            user_id=examples.PERSON["user_id"],
            launch_id=examples.LAUNCH_ID,
        ),
    ),
    effect=Effect.SEND,
    approved=_approved,
    recall=_recall,
)
