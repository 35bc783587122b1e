"""End an interview that was started here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connector.context import Context
from connector.domain.results.koji_fields import read_interview
from connector.errors import Conflict, CredentialsRejected, NotConfigured
from connector.koji.refusals import SESSION
from connector.service.execution.operation import Effect, EffectInput, Example, Operation, Output
from connector.service.input.sync_input import InterviewId
from connector.service.views import examples

_PATIENCE = 8.0


class CompleteInput(EffectInput):
    """The interview to end, and why."""

    interview_id: InterviewId = Field(description="Koji's id of the interview.")
    reason: Literal["natural", "respondent_left", "timeout", "manual"] = Field(
        "manual", description="Why it ends, in Koji's words."
    )


class CompleteOutput(Output):
    """The interview after its end."""

    interview_id: str = Field(description="Koji's id of the interview.")
    status: str = Field(description="completed, also when it was ended before.")
    analysis_status: str | None = Field(description="processing, completed or failed; null when not told.")
    completed_at: str | None = Field(description="When it ended, as Koji says.")


async def run(ctx: Context, payload: CompleteInput) -> CompleteOutput:
    """End the interview with the session token of its start."""
    koji = ctx.koji.get(payload.connection)
    if koji is None:
        raise NotConfigured.of("KOJI_API_KEY", payload.connection)
    invitation = await ctx.ledger.attribution.of_interview(payload.connection, payload.interview_id)
    if invitation is None or invitation.session_token is None:
        raise Conflict(
            "interview_id: the session token of its start is not stored here; a member of your team can end "
            "it in Koji's dashboard.",
            code="no_session_token",
        )
    token = ctx.ledger.unseal(invitation.session_token)
    try:
        interview = await koji.complete(payload.interview_id, token, payload.reason, patience=_PATIENCE)
    except CredentialsRejected as error:
        if error.reason != SESSION:
            raise
        # only a read tells a refused key from a refused session token
        await koji.read(payload.interview_id, patience=_PATIENCE)
        raise Conflict(
            "interview_id: Koji refused the session token of its start; end it in Koji's dashboard.",
            code="session_token_refused",
        ) from None
    completed_at = interview.get("completed_at")
    return CompleteOutput(
        interview_id=payload.interview_id,
        status="completed",
        analysis_status=read_interview(interview, payload.interview_id, event=None).analysis_status,
        completed_at=completed_at if isinstance(completed_at, str) else None,
    )


COMPLETE_INTERVIEW = Operation.of(
    run,
    subject="launches",
    title="Complete an interview",
    summary="End an interview that was started here, so that Koji analyses it now. Use it for a respondent "
    "who left. Harmless to repeat. Interviews that were not started here can only be ended in Koji's "
    "dashboard.",
    guidance="Not for people who only were invited: cancel_launch.",
    example=Example(
        {"interview_id": examples.INTERVIEW_ID, "reason": "timeout"},
        examples.whole(
            CompleteOutput, interview_id=examples.INTERVIEW_ID, status="completed", completed_at=examples.AT
        ),
    ),
    effect=Effect.SEND,
)
