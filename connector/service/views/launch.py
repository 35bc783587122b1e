"""Show a launch: its counts, why it waits, and the people who were invited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from connector import errors
from connector.context import Context
from connector.domain.launches.eligibility import SkipReason
from connector.domain.launches.launch import (
    Invitation,
    InvitationState,
    Launch,
    LaunchStatus,
)
from connector.domain.launches.respondent_link import present_link
from connector.domain.launches.sample import Method
from connector.domain.results.mapping import iso
from connector.security.opt_out_token import opt_out_token
from connector.service.execution.follow_up import status_url
from connector.service.execution.operation import Input, Output
from connector.service.launch_progress import SELF_RESUMING, cells_of, expected_of, progress_of, segments_of
from connector.service.launch_tokens import cost, price_of, resume_token, token_of
from connector.service.views.launch_warnings import warnings_of
from connector.service.views.sync import time_text
from connector.settings.rules import start_rules

INVITED = (InvitationState.STARTED, InvitationState.COMPLETED, InvitationState.EXPIRED)
SHOWN = 50
_PERSONAL: Mapping[str, Any] = {
    "invitations": [],
    "skipped_examples": [],
    "quota_cells": [],
    "segments": [],
    "warnings": [],
    "interview_id": None,
    "interview_link": None,
}
"""The fields that name a person or a value of theirs, with the values that are kept of them."""
_FAILURES: dict[str, type[errors.ConnectorError]] = {
    "cohort_not_found": errors.NotFound,
    "cohort_too_large": errors.InvalidInput,
    "cohort_empty": errors.InvalidInput,
    "too_many_values": errors.InvalidInput,
    "personal_property": errors.InvalidInput,
    "not_configured": errors.NotConfigured,
    "amplitude_key": errors.CredentialsRejected,
    "interrupted": errors.Conflict,
    "internal_error": errors.ConnectorError,
    "cohort_quota": errors.UpstreamUnavailable,
    "cohort_file_cut": errors.UpstreamUnavailable,
    "upstream_unavailable": errors.UpstreamUnavailable,
}
_OWN_CODES = frozenset({errors.CredentialsRejected, errors.UpstreamRejected})


class InvitationItem(BaseModel):
    """One person of a launch."""

    email: str | None = Field(description="The person's e-mail; null when unknown or removed.")
    user_id: str | None = Field(description="The person's Amplitude user id; null when unknown or removed.")
    state: str = Field(
        description="waiting, sending, started, completed, expired, failed, in_doubt or cancelled."
    )
    interview_link: str | None = Field(description="The link that the person opens; null without one.")
    opt_out_link: str | None = Field(
        description="The link by which the person says no to all invitations; null once erased."
    )
    name: str | None = Field(description="The person's name; null when unknown or removed.")
    interview_id: str | None = Field(description="Koji's id of the interview; null until Koji tells one.")
    reason: str | None = Field(description="Why it failed, or was called off; null otherwise.")
    started_at: str | None = Field(description="When the interview was started, ISO 8601 in UTC.")


class SkippedExample(BaseModel):
    """One person who is not invited."""

    user_id: str = Field(description="The person's Amplitude user id.")
    reason: str = Field(description="Why the person is not invited.")
    rule: str | None = Field(description="The rule that keeps the person from being asked again now.")
    until: str | None = Field(description="When the person may be asked again, ISO 8601 in UTC.")


class SampleOutput(BaseModel):
    """How the people were chosen from those who may be invited."""

    method: Method = Field(description="random: drawn; first: in the cohort's order.")
    seed: str | None = Field(description="Give it as sample_seed to draw the same people; null for first.")
    drawn_from: int = Field(description="People who may be invited, before the limit.")


class QuotaCell(BaseModel):
    """The people with one value of the quota's property."""

    value: str = Field(description="The value.")
    wanted: int = Field(description="People wanted.")
    available: int = Field(description="People who may be invited.")
    to_invite: int = Field(description="People who are, or are to be, invited.")
    completed: int = Field(description="People whose interview came back.")


class SegmentItem(BaseModel):
    """The people with one value of the property segment_by, beside the cohort's."""

    value: str = Field(description="The value.")
    cohort: int = Field(description="Members of the cohort.")
    invited: int = Field(description="People whose interview was started.")
    completed: int = Field(description="People whose interview came back.")
    synced: int = Field(description="People whose interview reached Amplitude.")
    completion_rate: float | None = Field(description="completed of invited; null below 10 invited.")
    low: float | None = Field(description="The lower end of the rate's 95 % interval (Wilson).")
    high: float | None = Field(description="The upper end of that interval.")


class LaunchOutput(Output):
    """A launch, or the plan for one."""

    launch_id: str = Field(description="The launch's id, for get_launch.")
    begun_at: str | None = Field(None, description="When it was begun, ISO 8601 in UTC.")
    status: Literal["planning", "planned", "running", "paused", "finished", "cancelled"] = Field(
        description="planned: decided, nothing sent. running: interviews are started within Koji's limit. "
        "paused: see pause_reason. finished: no person waits. cancelled: what was not sent stays unsent."
    )
    pause_reason: str | None = Field(
        description="daily_credits and koji_unreachable end by themselves (resumes_at); koji_credits, "
        "koji_key, koji_permission, no_link and approval (a cohort's webhook brought more people than may be "
        "invited without) wait for resume_launch."
    )
    resumes_at: str | None = Field(description="When a pause ends by itself, ISO 8601 in UTC.")
    status_url: str = Field(description="The URL that shows the progress.")
    message: str | None = Field(description="What it waits for, or why it ended, in plain words.")
    cohort_id: str | None = Field(description="Amplitude's id of the cohort; null for given members.")
    cohort_name: str | None = Field(description="The cohort's name in Amplitude.")
    members_total: int = Field(description="Rows of the cohort: to_invite and all skipped.")
    to_invite: int = Field(description="People who are, or are to be, invited.")
    waiting: int = Field(description="People whose interview is not started yet.")
    invited: int = Field(description="People whose interview was started.")
    completed: int = Field(description="People whose interview came back.")
    expected: int | None = Field(description="Good interviews still expected of those invited, in waves.")
    next_wave_at: str | None = Field(description="When the next wave may begin, ISO 8601 in UTC.")
    failed: int = Field(description="People whom Koji refused, or whose doubtful start was given up.")
    in_doubt: int = Field(
        description="People of whom it is not known whether their interview was started; see resume_launch."
    )
    cancelled: int = Field(description="People who were called off before anything was sent.")
    skipped: dict[str, int] = Field(description="People who are not invited, by reason.")
    sample: SampleOutput = Field(description="How the people to invite were chosen.")
    quota_cells: list[QuotaCell] = Field(description="The quota by value.")
    segments: list[SegmentItem] = Field(description="Who answered, by segment_by.")
    credits_estimate: int = Field(description="Koji credits that all of it takes at most.")
    eta_seconds: int | None = Field(
        description="About how long the rest takes, in seconds; null while it is paused, 0 at the end."
    )
    warnings: list[str] = Field(description="What to know before going on.")
    invitations: list[InvitationItem] = Field(description="People who were invited, the first 50.")
    interview_id: str | None = Field(description="Koji's interview id, in a launch of one.")
    interview_link: str | None = Field(description="The person's link, in a launch of one.")
    plan_token: str | None = Field(
        description="Give it to launch_cohort_interviews to invite exactly these people; null unless planned."
    )
    resume_token: str | None = Field(
        description="Give it to resume_launch within 10 minutes, after a person agreed to the people and "
        "credits that message names; null unless the launch waits for a person."
    )
    plan_expires_at: str | None = Field(description="Until when plan_token can be used, ISO 8601 in UTC.")
    skipped_examples: list[SkippedExample] = Field(description="At most 100 of the skipped, by user id.")

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        """Tell where an unfinished launch ends."""
        open_ = self.status in ("planning", "running", "paused")
        return ("get_launch", {"launch_id": self.launch_id}) if open_ else None

    def kept(self) -> LaunchOutput:
        """Keep nothing that names a person."""
        return self.model_copy(update=_PERSONAL)

    def stands_still(self) -> bool:
        """Tell whether the launch continues only after a person resumes it or enters its cohort."""
        if self.next_wave_at is not None:
            return True
        if self.status == "running":
            return self.to_invite > 0 and self.waiting == 0
        return self.status == "paused" and self.pause_reason not in SELF_RESUMING

    async def raise_failure(self, ctx: Context) -> None:
        """Raise the error of a planning that failed."""
        launch = await ctx.ledger.launches.find(self.launch_id) if self.status == "cancelled" else None
        if launch is not None and launch.error is not None:
            kind = _FAILURES.get(launch.error, errors.UpstreamRejected)
            # callers know only two codes of the upstreams; the message names the credential
            code = None if kind in _OWN_CODES else launch.error
            raise kind(launch.message or "Planning failed.", code=code, result=self.model_dump(mode="json"))


async def recall(ctx: Context, _given: Input, kept: LaunchOutput) -> LaunchOutput:
    """Show the people who are still in a launch."""
    launch = await ctx.ledger.launches.find(kept.launch_id)
    if launch is None:
        return kept
    present = await shown(ctx, launch)
    return kept.model_copy(update={name: getattr(present, name) for name in _PERSONAL})


async def find(ctx: Context, launch_id: str, connection: str) -> Launch:
    """Return a launch of a connection. Raises `NotFound`."""
    launch = await ctx.ledger.launches.find(launch_id)
    if launch is None or launch.connection != connection:
        raise errors.NotFound(
            "launch_id: there is no such launch on this connection; unused plans are deleted after an hour."
        )
    return launch


async def shown(ctx: Context, launch: Launch, people: Sequence[Invitation] | None = None) -> LaunchOutput:
    """Return the answer for a launch, with `people`, or else with the first 50 who were invited.

    The context's caller sees people who are skipped, and values of properties, with the scope read, and who
    is invited also with send.
    """
    scopes = ctx.caller.scopes
    may_read = "read" in scopes
    if not scopes & {"read", "send"}:
        people = ()
    if people is None:
        people = await ctx.ledger.launches.invitations(launch.id, INVITED, limit=SHOWN, after=-1)
    people = [with_link(ctx, launch, person) for person in people]
    progress = await progress_of(ctx, launch)
    pause, waits = progress.pause, progress.waits_for_person
    planned = launch.status is LaunchStatus.PLANNED
    single = people[0] if launch.to_invite == 1 and people else None
    waiting = launch.left + launch.planned
    resuming = f"Resuming starts {cost(ctx, launch, waiting)}. " if waits else ""
    cells = await cells_of(ctx, launch) if may_read else []
    address = {"connection": launch.connection, "launch_id": launch.id}
    return LaunchOutput(
        launch_id=launch.id,
        begun_at=iso(launch.created_at),
        status="paused" if pause else launch.status.value,
        pause_reason=pause.code if pause else None,
        resumes_at=time_text(pause.until) if pause else None,
        status_url=status_url("get_launch", address, ctx.settings.public_url),
        message=f"{resuming}{progress.message or ''}" or None,
        cohort_id=launch.cohort_id,
        cohort_name=launch.cohort_name,
        members_total=launch.members_total,
        to_invite=launch.to_invite,
        waiting=waiting,
        invited=launch.invited,
        completed=launch.completed,
        expected=await expected_of(ctx, launch),
        next_wave_at=time_text(launch.next_wave_at),
        failed=launch.failed,
        in_doubt=launch.in_doubt,
        cancelled=launch.cancelled,
        skipped=dict(launch.skipped),
        sample=SampleOutput(
            method=launch.options.sample,
            seed=launch.seed,
            drawn_from=launch.to_invite + launch.skipped.get(SkipReason.OVER_LIMIT, 0),
        ),
        quota_cells=[QuotaCell(**cell._asdict()) for cell in cells],
        segments=[SegmentItem(**one._asdict()) for one in await segments_of(ctx, launch) if may_read],
        credits_estimate=price_of(ctx, launch, launch.to_invite),
        eta_seconds=progress.seconds,
        warnings=await warnings_of(ctx, launch, progress.expected, cells),
        invitations=[item(ctx, person) for person in people],
        interview_id=single.interview_id if single else None,
        interview_link=single.link if single else None,
        plan_token=token_of(ctx, launch.id) if planned else None,
        resume_token=resume_token(ctx, launch, waiting) if waits else None,
        plan_expires_at=time_text(launch.expires_at) if planned else None,
        skipped_examples=[
            SkippedExample.model_validate({**example._asdict(), "until": time_text(example.until)})
            for example in launch.examples
            if may_read
        ],
    )


def opt_out_link(ctx: Context, invitation: Invitation) -> str | None:
    """Return the link by which the person of an invitation opts out, or None once the person was erased."""
    if invitation.register is None:
        return None
    token = opt_out_token(ctx.ledger.plan_key, invitation.id, invitation.register)
    return f"{ctx.settings.public_url}/o/{token}"


def item(ctx: Context, invitation: Invitation) -> InvitationItem:
    """Return an invitation in the form of an answer."""
    return item_of(invitation, opt_out_link(ctx, invitation))


def item_of(invitation: Invitation, opt_out: str | None) -> InvitationItem:
    """Return an invitation in the form of an answer, with its opt-out link."""
    shown = {
        "interview_link": invitation.link,
        "opt_out_link": opt_out,
        "started_at": time_text(invitation.started_at),
    }
    return InvitationItem.model_validate({**invitation._asdict(), **shown, "state": invitation.state.value})


def with_link(ctx: Context, launch: Launch | None, invitation: Invitation) -> Invitation:
    """Return an invitation with its link; one that could not be made at the start is made now."""
    connection = ctx.settings.connections.get(invitation.connection)
    if launch is None or connection is None:
        return invitation
    return invitation._replace(link=present_link(start_rules(connection), launch, invitation))
