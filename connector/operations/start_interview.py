"""Start one person's interview: the step of a Zap."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from connector.context import Context
from connector.domain.launches.eligibility import LaunchRules, SkipReason, held
from connector.domain.launches.launch import (
    Invitation,
    InvitationState,
    Launch,
    LaunchOptions,
    LaunchStatus,
    Phase,
)
from connector.domain.people.same_person import Member, is_email, member
from connector.errors import Conflict, ConnectorError, InvalidInput, UpstreamRejected
from connector.service.execution.follow_up import status_url
from connector.service.execution.operation import Effect, Operation, Output
from connector.service.execution.polling import Polling
from connector.service.input.launch_input import (
    PersonOptions,
    begun_before,
    decide_now,
    new_launch,
    require_koji,
)
from connector.service.views.launch import LaunchOutput, key_pause, shown

_STATUS: dict[str, Literal["started", "pending", "skipped", "in_doubt"]] = {
    "started": "started",
    "completed": "started",
    "expired": "started",
    "in_doubt": "in_doubt",
    "failed": "skipped",
    "cancelled": "skipped",
}
_GOING = (InvitationState.WAITING, InvitationState.SENDING)


class StartInput(PersonOptions):
    """Whom to interview: at least one of email and user_id."""

    email: str | None = Field(None, max_length=1_024, description="The person's e-mail address.")
    user_id: str | None = Field(None, max_length=1_024, description="The person's Amplitude user id.")
    name: str | None = Field(None, max_length=1_024, description="What the interviewer calls the person.")


class StartOutput(Output):
    """One person's interview, flat."""

    status: Literal["started", "pending", "already_invited", "skipped", "in_doubt"] = Field(
        description="started: the link is there. pending: it waits for its turn. already_invited: the "
        "person has "
        "this link already. skipped: see reason. in_doubt: Koji gave no answer; it is not started again."
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
            values |= {
                "status": "started",
                "interview_id": present.interview_id,
                "interview_link": present.interview_link,
            } | _whose(present)
        elif present.in_doubt:
            values["status"] = "in_doubt"
        elif present.failed or present.cancelled:
            values |= {"status": "skipped", "reason": "failed" if present.failed else "cancelled"}
        return values


def _whose(launch: LaunchOutput) -> dict[str, Any]:
    one = next(iter(launch.invitations), None)
    return {} if one is None else {"email": one.email, "user_id": one.user_id}


async def run(ctx: Context, given: StartInput) -> StartOutput:
    """Start it ahead of queued launches; wait for the link for `wait_seconds`."""
    whom = _whom(given)
    connection = ctx.connection(given.connection)
    require_koji(connection, allow_without_link=given.allow_without_link)
    mode = given.mode or connection.mode
    options = LaunchOptions(
        max_interviews=1,
        mode=mode,
        locale=given.locale or connection.locale,
        metadata=given.metadata or {},
        reinvite_after_days=given.reinvite_after_days,
        allow_without_link=given.allow_without_link,
    )
    launch_id, begun = await begun_before(ctx)
    if begun is None:
        if known := await _known(ctx, given, whom):
            return known
        if pause := await key_pause(ctx, given.connection, mode):
            raise _paused(ctx, pause)
    launch = begun or new_launch(
        ctx, launch_id, given.connection, options, goes_on=True, phase=Phase.DIRECT, single=True
    )
    if launch.phase is Phase.DIRECT:
        launch = await decide_now(ctx, launch, [[whom]])
    if not launch.to_invite:  # taken by somebody else between the two looks
        return await _known(ctx, given, whom) or _skipped(ctx, given, launch)
    return await _until_started(ctx, given, launch)


def _whom(given: StartInput) -> Member:
    if given.email is None and given.user_id is None:
        raise InvalidInput.of("email", "give email, user_id, or both: nobody is known otherwise")
    if given.email is not None and not is_email(given.email):
        raise InvalidInput.of("email", "is no e-mail address")
    return member(given.user_id, given.email, given.name)


async def _known(ctx: Context, given: StartInput, whom: Member) -> StartOutput | None:
    """Return the answer for somebody who was invited before, None for anybody else."""
    (keyed,) = ctx.ledger.aliases.keyed(given.connection, [whom])
    earlier = await ctx.ledger.attribution.of_person(keyed[1])
    if earlier is None or earlier.taken_at is None:
        return None
    (told,) = await ctx.ledger.aliases.history([keyed])
    if len(told) > 1:  # an alias that was not known yet
        await ctx.ledger.aliases.learn(keyed)
    rules = LaunchRules(1, given.reinvite_after_days)
    now = ctx.clock.now()
    # who waits for a start is asked soon enough, whatever may be asked again
    reason = held(now + 1 if earlier.state in _GOING else earlier.taken_at, rules, now)
    if reason is SkipReason.ALREADY:
        status = "in_doubt" if earlier.state is InvitationState.IN_DOUBT else "already_invited"
        return _output(ctx, given, status, earlier, None)
    return None if reason is None else _output(ctx, given, "skipped", None, str(reason))


async def _until_started(ctx: Context, given: StartInput, launch: Launch) -> StartOutput:
    async def read(_: Launch) -> Launch:
        return await ctx.ledger.launches.find(launch.id) or launch

    one: Invitation | None = None
    async for present in Polling(ctx, given.wait_seconds, await read(launch), read, first=0.01, longest=0.25):
        found = await ctx.ledger.launches.invitations(launch.id, list(InvitationState), limit=1, after=-1)
        one = found[0] if found else None
        if one is None or one.state not in _GOING:
            break
        if present.status is LaunchStatus.PAUSED:
            # Koji surely refused it: nothing stays queued behind a pause of the key
            await ctx.ledger.launches.cancel(launch.id, ctx.clock.now())
            pause = await key_pause(ctx, given.connection, launch.options.mode)
            raise _paused(ctx, pause or (present.pause_reason or "", None, "Koji refused the key."))
    output = _output(
        ctx,
        given,
        "skipped" if one is None else _STATUS.get(one.state.value, "pending"),
        one,
        one.reason or one.state.value if one and one.state.value in ("failed", "cancelled") else None,
        launch,
    )
    if one is not None and one.state is InvitationState.FAILED:
        raise UpstreamRejected(
            one.words or "Koji refused to start this interview.", result=output.model_dump(mode="json")
        )
    return output


def _paused(ctx: Context, pause: tuple[str, int | None, str]) -> ConnectorError:
    code, until, words = pause
    after = None if until is None else max(1, -(-(until - ctx.clock.now()) // 1000))
    then = "" if until is not None else " Then resume_launch, or check_connection."
    return Conflict(f"{words.rstrip('.')}. Nothing was started.{then}", code=code, retry_after=after)


def _skipped(ctx: Context, given: StartInput, launch: Launch) -> StartOutput:
    reason = next(iter(launch.skipped), "cancelled")
    return _output(ctx, given, "skipped", None, reason, launch)


def _output(
    ctx: Context,
    given: StartInput,
    status: str,
    one: Invitation | None,
    reason: str | None,
    launch: Launch | None = None,
) -> StartOutput:
    launch_id = launch.id if launch else (one.launch_id if one else None)
    arguments = {"connection": given.connection, "launch_id": launch_id}
    return StartOutput.model_validate(
        {
            "status": status,
            "interview_id": one.interview_id if one else None,
            "interview_link": one.link if one else None,
            "email": given.email,
            "user_id": given.user_id,
            "reason": reason,
            "launch_id": launch_id,
            "status_url": status_url("get_launch", arguments, ctx.settings.public_url) if launch_id else None,
        }
    )


async def _recall(ctx: Context, given: StartInput, kept: StartOutput) -> StartOutput:
    """Show the link again that the person has by now."""
    told: dict[str, Any] = {"email": given.email, "user_id": given.user_id}
    launch = await ctx.ledger.launches.find(kept.launch_id) if kept.launch_id else None
    if launch is not None and launch.single:
        present, _ = await shown(ctx, launch)
        told |= {"interview_id": present.interview_id, "interview_link": present.interview_link}
    elif kept.status != "skipped" and (known := await _known(ctx, given, _whom(given))) is not None:
        told |= {"interview_id": known.interview_id, "interview_link": known.interview_link}
    return kept.model_copy(update=told)


START_INTERVIEW = Operation(
    name="start_interview",
    title="Start an interview",
    summary=(
        "Start one person's Koji interview and return its link: the step of a Zap. Overtakes queued "
        "launches. "
        "Somebody who was invited before gets the existing link and is not asked twice. Spends Koji credits."
    ),
    input=StartInput,
    output=StartOutput,
    run=run,
    effect=Effect.SEND,
    recall=_recall,
)
