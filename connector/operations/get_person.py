"""Show one person: invitations, interviews and skips, and what a launch would decide now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, Field

from connector.context import Context
from connector.domain.launches.eligibility import UNLIMITED, Selection, SkipReason
from connector.domain.launches.launch import InvitationState, Launch
from connector.domain.people.same_person import Member
from connector.domain.results.anonymity import is_anonymous_or_erased
from connector.domain.results.mapping import iso
from connector.errors import NotFound
from connector.service.execution.operation import Effect, Example, Input, Operation, Output
from connector.service.input.person_input import UserId, person_of
from connector.service.launch_progress import pause_of
from connector.service.planning import history_of
from connector.service.views import examples
from connector.service.views.launch import with_link
from connector.service.views.sync import flat, time_text
from connector.settings.rules import rest_rules

if TYPE_CHECKING:
    from connector.ledger.people.person import History


_GOING: Final = (InvitationState.WAITING, InvitationState.SENDING)
_WAITS: Final = "waits"
_WHY: Final = {
    None: "Not invited on this connection: a launch may invite them.",
    _WAITS: "Waits to be invited by an earlier launch: no other launch may invite them meanwhile.",
    SkipReason.ALREADY: "Invited before: only a launch with reinvite_after_days may invite them again.",
    SkipReason.OPTED_OUT: "Said no by the link in an invitation: no launch may invite them.",
    SkipReason.RESTING: "Asked lately, on this or another connection: only a launch with override_rest may.",
    SkipReason.SUPPRESSED: "Erased by forget_respondent: kept out of every invitation.",
}


class PersonInput(Input):
    """The person to show: give email, user_id or both; without connection on all of yours."""

    email: str | None = Field(None, min_length=1, max_length=1_024, description="Their e-mail address.")
    user_id: UserId | None = Field(None, min_length=1, description="Their Amplitude user id.")


class _OfConnection(BaseModel):
    connection: str = Field(description="The connection.")


class PersonInvitation(_OfConnection):
    """One invitation of the person."""

    launch_id: str = Field(description="The launch, for get_launch.")
    cohort_name: str | None = Field(description="The cohort's name in Amplitude; null for given members.")
    begun_at: str | None = Field(description="When the launch was begun, ISO 8601 in UTC.")
    state: str = Field(
        description="waiting, sending, started, completed, expired, failed, in_doubt or cancelled."
    )
    reason: str | None = Field(description="Why it failed; null otherwise.")
    invited_at: str | None = Field(description="When the interview was started, ISO 8601 in UTC.")
    pause_reason: str | None = Field(description="Why the launch that the person waits for is paused.")
    resumes_at: str | None = Field(description="When that pause ends by itself, ISO 8601 in UTC.")
    interview_id: str | None = Field(description="Koji's id of the interview; null until Koji tells one.")
    interview_link: str | None = Field(description="The link that the person opens; null without one.")


class PersonInterview(_OfConnection):
    """One interview with the person."""

    interview_id: str = Field(description="Koji's id of the interview, for get_sync.")
    status: str = Field(description="synced, skipped, pending or failed.")
    reason: str | None = Field(description="Why it was skipped, failed or still waits.")
    refusal: str | None = Field(None, description="Amplitude's words, where it refused the interview.")
    completed_at: str | None = Field(description="When it was completed, ISO 8601 in UTC.")
    quality_score: float | None = Field(description="Koji's quality score, 1 to 5.")
    sentiment: str | None = Field(description="positive, negative, neutral or mixed.")
    themes: list[str] = Field(description="Themes in Koji's order.")


class PersonSkip(_OfConnection):
    """One launch that did not invite the person."""

    launch_id: str = Field(description="The launch, for get_launch.")
    cohort_name: str | None = Field(description="The cohort's name in Amplitude; null for given members.")
    begun_at: str | None = Field(description="When the launch was begun, ISO 8601 in UTC.")
    reason: str = Field(description="Why the person was not invited.")
    at: str = Field(description="When that was decided, ISO 8601 in UTC.")


class PersonNow(_OfConnection):
    """What a launch without reinvite_after_days would decide now."""

    would: str = Field(description="invite, or the reason of the skip.")
    why: str = Field(description="The same in plain words.")
    may_be_asked_at: str | None = Field(
        description="From when on the person may be asked, ISO 8601 in UTC; null for never."
    )


class PersonOutput(Output):
    """What is known of a person. Anonymous interviews are in none of it."""

    email: str | None = Field(description="An e-mail of the person; null when none is known.")
    user_id: str | None = Field(description="An Amplitude user id of the person; null when none is known.")
    suppressed: bool = Field(description="Whether the person was erased and is kept out.")
    invitations: list[PersonInvitation] = Field(description="Invitations, newest first.")
    interviews: list[PersonInterview] = Field(description="Interviews, newest first.")
    skips: list[PersonSkip] = Field(description="Skips that launches still show as examples, newest first.")
    now: list[PersonNow] = Field(description="What a launch would decide now, by connection.")


async def run(ctx: Context, payload: PersonInput) -> PersonOutput:
    """Return what is known under the person's aliases on each connection. Raises `NotFound`."""
    asked = person_of(payload.email, payload.user_id)
    is_named = "connection" in payload.model_fields_set
    names = [payload.connection] if is_named else ctx.caller.visible(ctx.settings.connections)
    shown = PersonOutput(
        email=asked.email,
        user_id=asked.user_id,
        suppressed=False,
        invitations=[],
        interviews=[],
        skips=[],
        now=[],
    )
    for name in names:
        trusted = ctx.connection(name).connector_trust_external_id
        history = await ctx.ledger.persons.find(name, asked, trust_external_id=trusted)
        waits = any(one.state in _GOING for one in history.invitations)
        shown.now.append(await _now(ctx, name, asked, waits=waits))
        shown.suppressed |= history.suppressed
        if not history.suppressed:
            await _add(ctx, shown, name, history)
    if not (shown.suppressed or shown.invitations or shown.interviews or shown.skips):
        raise NotFound("email, user_id: no such person was invited, interviewed or skipped.")
    return shown


async def _add(ctx: Context, shown: PersonOutput, name: str, history: History) -> None:
    """Add what is known on one connection."""
    person = history.person
    launches: dict[str, Launch | None] = {}
    for one in sorted(history.invitations, key=lambda one: one.created_at, reverse=True):
        if one.state in (InvitationState.PLANNED, InvitationState.HOLDOUT):
            continue
        if one.launch_id not in launches:
            launches[one.launch_id] = await ctx.ledger.launches.find(one.launch_id)
        launch = launches[one.launch_id]
        pause = await pause_of(ctx, launch) if launch and one.state in _GOING else None
        shown.invitations.append(
            PersonInvitation(
                connection=name,
                launch_id=one.launch_id,
                cohort_name=launch.cohort_name if launch else None,
                begun_at=time_text(launch.created_at) if launch else None,
                state=one.state.value,
                reason=one.reason,
                invited_at=time_text(one.started_at),
                pause_reason=pause.code if pause else None,
                resumes_at=time_text(pause.until) if pause else None,
                interview_id=one.interview_id,
                interview_link=with_link(ctx, launch, one).link,
            )
        )
    for sync in sorted(history.interviews, key=lambda one: one.first_received_at, reverse=True):
        if not is_anonymous_or_erased(sync.reason, sync.facts):
            shown.interviews.append(PersonInterview(connection=name, **flat(sync)))
    shown.skips += [
        PersonSkip(connection=name, **{**skip._asdict(), "at": iso(skip.at), "begun_at": iso(skip.begun_at)})
        for skip in await ctx.ledger.persons.skips(person)
    ]
    shown.email = shown.email or next(iter(sorted(person.emails)), None)
    shown.user_id = shown.user_id or next(iter(sorted(person.user_ids)), None)


async def _now(ctx: Context, name: str, asked: Member, *, waits: bool) -> PersonNow:
    """Decide over the person as planning does."""
    keyed, now = ctx.ledger.aliases.keyed(name, [asked]), ctx.clock.now()
    rules = UNLIMITED._replace(rests=rest_rules(ctx.settings))
    ((choice,), _) = Selection(rules, now).take(keyed, *await history_of(ctx, name, keyed))
    rest = choice.rest
    why = _WHY[_WAITS if waits and choice.reason is SkipReason.ALREADY else choice.reason]
    return PersonNow(
        connection=name,
        would=choice.reason or "invite",
        why=why if rest is None else f"{why} Rule: {rest.rule}.",
        may_be_asked_at=iso(rest.until) if rest else None if choice.reason else iso(now),
    )


GET_PERSON = Operation.of(
    run,
    subject="people",
    title="Get a person",
    summary="Show one person over all connections: invitations, interviews, skips, and what a launch would "
    "decide now. Use it to explain why a person was invited or not. Changes nothing.",
    guidance="Not for a launch's people: get_launch.",
    example=Example(
        {"email": examples.PERSON["email"]},
        {
            "email": examples.PERSON["email"],
            "user_id": examples.PERSON["user_id"],
            "suppressed": False,
            "invitations": [
                examples.part(
                    PersonInvitation,
                    {**examples.LAUNCH, **examples.LAUNCH["invitations"][0]},
                    connection="default",
                    invited_at=examples.AT,
                )
            ],
            "interviews": [examples.part(PersonInterview, examples.SYNC, connection="default")],
            "skips": [],
            "now": [
                {
                    "connection": "default",
                    "would": "already_invited",
                    "why": _WHY[SkipReason.ALREADY],
                    "may_be_asked_at": None,
                }
            ],
        },
    ),
    effect=Effect.READ,
    spans_connections=True,
)
