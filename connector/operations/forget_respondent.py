"""Erase a person everywhere we can, and keep them out."""

from __future__ import annotations

from pydantic import Field

from connector.context import Context
from connector.service.execution.operation import Effect, Example, Operation, WaitInput
from connector.service.input.person_input import UserId, person_of
from connector.service.views import examples
from connector.service.views.run import RunOutput, new_run_id, until_finished
from connector.settings.rules import erasure_rules


class ForgetInput(WaitInput):
    """The person to forget: give email, user_id or both."""

    email: str | None = Field(None, min_length=1, max_length=1_024, description="Their e-mail address.")
    user_id: UserId | None = Field(
        None,
        min_length=1,
        description="Their Amplitude user id; also unset in Amplitude when nothing else knows it.",
    )


async def run(ctx: Context, payload: ForgetInput) -> RunOutput:
    """Erase at once what no worker has at hand; wait for the rest for `wait_seconds`."""
    person = person_of(payload.email, payload.user_id)
    run_id = new_run_id()
    rules = erasure_rules(ctx.connection(payload.connection))
    await ctx.ledger.erasures.begin(run_id, payload.connection, person, rules, ctx.clock.now())
    ctx.wake("erasure")
    return await until_finished(ctx, run_id, payload.wait_seconds)


FORGET_RESPONDENT = Operation.of(
    run,
    subject="people",
    title="Forget a respondent",
    summary="Erase a person on this connection for good: invitations, interviews, stored webhooks and "
    "answers; unset last_interview_* in Amplitude; keep them out of every later invitation and write. "
    "Cannot be taken back. Answers what was done, what only a person can do, and a run for get_run.",
    guidance="For a person who asks to be forgotten. Not for calling off an invitation: cancel_launch.",
    example=Example(
        {"email": examples.PERSON["email"]},
        {
            **examples.RUN,
            "total": 1,
            "synced": 0,
            "skipped": {},
            "done": [{"place": "ledger", "what": "erased"}],
            "left_to_people": ["Delete the interviews at Koji."],
        },
    ),
    effect=Effect.ERASE,
)
