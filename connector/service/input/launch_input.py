"""The options of a launch, and its beginning."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from connector.context import Context
from connector.domain.launches.cohort_message import chunks_of, cohort_id_of, members_of
from connector.domain.launches.launch import Launch, LaunchOptions, LaunchStatus, Phase
from connector.domain.launches.quota import MOST_CELLS, Quota, require_few, require_group, valued
from connector.domain.launches.respondent_link import has_no_link
from connector.domain.launches.sample import Method
from connector.domain.people.name import name_in
from connector.domain.people.properties import carried, property_of
from connector.domain.people.same_person import Member, member
from connector.errors import ConnectorError, FieldError, InvalidInput, NotConfigured
from connector.service import planning
from connector.service.execution.operation import WaitInput
from connector.service.input.person_input import UserId
from connector.settings.model import Connection
from connector.settings.rules import start_rules

_KEY_KEPT = 7 * 86_400_000  # ms
_DIRECTLY = 500  # the call itself decides over so many members; a worker decides over more
_MOST_SHOWN = 50
Mode = Literal["text", "voice"]
# what a model does when its user cannot be asked
PLAN_FIRST = (
    "Call plan_cohort_launch, show its counts and credits to the user, and call launch_cohort_interviews "
    "with its plan_token."
)
WITHOUT_LINK = "KOJI_PROJECT_ID is not set, so that people would get no link"


class Given(NamedTuple):
    """People as they are stored: how many, the names of their properties, and chunks of members as JSON."""

    total: int
    carried: tuple[str, ...]
    chunks: Sequence[str]


_NONE_GIVEN = Given(0, (), ())


class MemberInput(BaseModel):
    """One person; give user_id, email or both."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    user_id: UserId | None = Field(None, description="The person's Amplitude user id.")
    email: str | None = Field(None, max_length=1_024, description="The person's e-mail address.")
    name: str | None = Field(None, max_length=1_024, description="What the interviewer calls the person.")
    properties: dict[str, Any] | None = Field(
        None, description="User properties; they serve to find e-mail, name, quota and segment."
    )


class QuotaInput(BaseModel):
    """So many people for each value of a user property: per_value for all values, or values for each."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    property: str = Field(min_length=1, max_length=256, description="The user property.")
    per_value: int | None = Field(None, ge=1, description="People for each value that occurs.")
    values: dict[str, Annotated[int, Field(ge=0)]] | None = Field(
        None, max_length=MOST_CELLS, description="People for each of these values, such as {free: 20}."
    )

    def stored(self) -> Quota:
        """Return the quota as a launch keeps it."""
        return cast("Quota", self.model_dump(exclude_none=True))

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.per_value is None) == (not self.values):
            raise ValueError("give exactly one of per_value and values")
        return self


class PersonOptions(WaitInput):
    """How interviews are started, for one person or many."""

    mode: Mode | None = Field(None, description="text or voice; without it the study's own mode.")
    locale: str | None = Field(None, max_length=35, description="The interview's language, such as en.")
    metadata: dict[str, Any] | None = Field(
        None, description="Anything of yours that goes to Koji with each interview, and nowhere else."
    )
    reinvite_after_days: int | None = Field(
        None,
        ge=0,
        le=36_500,
        description="Ask people again who were invited longer ago; without it no person is asked twice.",
    )
    allow_without_link: bool = Field(
        default=False,
        description="Start interviews although no link can be made, because KOJI_PROJECT_ID is not set.",
    )

    @model_validator(mode="after")
    def _metadata_is_small(self) -> Self:
        if self.metadata is not None and len(str(self.metadata)) > 20_000:
            raise ValueError("metadata is larger than 20,000 characters")
        return self

    def options(self, connection: Connection) -> LaunchOptions:
        """Return the options of a launch of one: those given, else the connection's, else the defaults."""
        return LaunchOptions(
            max_interviews=1,
            mode=self.mode or connection.mode,
            locale=self.locale or connection.locale,
            metadata=self.metadata or {},
            reinvite_after_days=self.reinvite_after_days,
            allow_without_link=self.allow_without_link,
        )


class CohortOptions(PersonOptions):
    """The people to invite, and how many of them."""

    cohort_id: str | None = Field(
        None, max_length=256, description="Amplitude's id of the cohort; list_cohorts shows them."
    )
    members: list[MemberInput] | None = Field(
        None, max_length=planning.LARGEST_COHORT, description="The people, instead of a cohort."
    )
    max_interviews: int | None = Field(
        None, ge=1, description="Invite at most so many. Never above the settings' cap."
    )
    sample: Method | None = Field(
        None, description="random (default): draw the people; first: take them in the cohort's order."
    )
    sample_seed: str | None = Field(
        None, max_length=100, description="Draws the same people again; made when absent."
    )
    quota: QuotaInput | None = Field(
        None, description="People for each value of a user property; those without a value are over_limit."
    )
    stop_after_completed: int | None = Field(
        None,
        ge=1,
        description="Invite in waves, stop when so many good interviews are in; of a quota, in each cell.",
    )
    holdout_percent: int | None = Field(
        None, ge=0, le=50, description="Keep this share of people out, always the same, to compare with."
    )
    segment_by: str | None = Field(
        None, max_length=256, description="Show who answered by this user property (segments)."
    )
    override_rest: str | None = Field(
        None,
        max_length=500,
        description="Why to invite people who rest; the audit log keeps it. People who said no stay out.",
    )
    email_property: str | None = Field(
        None, max_length=256, description="The user property that holds the e-mail (default email)."
    )
    name_property: str | None = Field(
        None, max_length=256, description="The user property that holds the name (default name)."
    )
    variant: str | None = Field(
        None, max_length=256, description="A label of yours, such as B; it reaches the event in Amplitude."
    )

    _given: Given = PrivateAttr(_NONE_GIVEN)

    @property
    def given(self) -> Given:
        """Return the people in `members`, once the input is condensed."""
        return self._given

    def properties(self, connection: Connection) -> tuple[str, str]:
        """Return the names of the user properties that hold e-mail and name."""
        return (
            self.email_property or connection.email_property or "email",
            self.name_property or connection.name_property or "name",
        )

    def condensed(self, connections: Mapping[str, Connection]) -> Self:
        """Return the input without `members`, which are `given` instead. Raises `InvalidInput`."""
        connection = connections.get(self.connection)
        if not self.members or connection is None:
            return self
        if self.idempotency_key is not None:
            self.digest()  # of the people, too
        made = self.model_copy(update={"members": []})
        by = self.quota.property if self.quota else None, self.segment_by
        made._given = _given(self.members, *self.properties(connection), *by)  # noqa: SLF001 - it is one of us
        return made

    def options(self, connection: Connection) -> LaunchOptions:
        """Return the launch's options: those given, else the connection's, else the defaults.

        Raises `InvalidInput` above the settings' cap, and for groups of single people.
        """
        cap = connection.connector_max_interviews_per_launch
        if self.max_interviews is not None and self.max_interviews > cap:
            raise InvalidInput.of(
                "max_interviews", f"is above the cap of {cap} (CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH)"
            )
        email_property, name_property = self.properties(connection)
        if self.quota is not None:
            require_group(self.quota.property, "quota", (email_property, name_property))
            require_few(self.quota.values or (), "quota")
        if self.segment_by is not None:
            require_group(self.segment_by, "segment_by", (email_property, name_property))
        return replace(
            super().options(connection),
            max_interviews=self.max_interviews or cap,
            variant=self.variant or connection.variant,
            email_property=email_property,
            name_property=name_property,
            sample=self.sample or "random",
            sample_seed=self.sample_seed,
            override_rest=self.override_rest,
            holdout_percent=self.holdout_percent or 0,
            segment_by=self.segment_by,
            stop_after_completed=self.stop_after_completed,
            quota=None if self.quota is None else self.quota.stored(),
        )


def require_koji(connection: Connection, *, allow_without_link: bool) -> None:
    """Check that interviews can be started. Raises `NotConfigured`, or `InvalidInput` (`no_link`)."""
    if connection.koji_invite_by == "start" and connection.koji_api_key is None:
        raise NotConfigured.of("KOJI_API_KEY", connection.name, "interviews cannot be started")
    if has_no_link(start_rules(connection)) and not allow_without_link:
        wrong = f"{WITHOUT_LINK}; set it, or give allow_without_link."
        raise InvalidInput(wrong, code="no_link", errors=[FieldError("/allow_without_link", wrong)])


async def begin(ctx: Context, payload: CohortOptions, *, goes_on: bool) -> Launch:
    """Store a launch, and decide over few members at once; a worker decides over many."""
    connection = ctx.connection(payload.connection)
    require_koji(connection, allow_without_link=payload.allow_without_link)
    if payload.cohort_id is not None and ctx.amplitude_cohorts.get(connection.name) is None:
        keys, then = "AMPLITUDE_API_KEY or AMPLITUDE_SECRET_KEY", "no cohort can be downloaded without both"
        raise NotConfigured.of(keys, connection.name, then)
    if payload.cohort_id is not None:
        cohort_id_of(payload.cohort_id)
    options = payload.options(connection)
    payload = await planning.aside(payload.members or (), payload.condensed, ctx.settings.connections)
    given = payload.given
    few = payload.cohort_id is None and given.total <= _DIRECTLY
    phase = Phase.DIRECT if few else (Phase.REQUEST if payload.cohort_id is not None else Phase.READ)
    launch_id, begun = await begun_before(ctx)
    if begun is not None and begun.phase is not Phase.DIRECT:
        return begun
    launch = begun or new_launch(
        ctx, launch_id, payload.connection, options, goes_on=goes_on, phase=phase, cohort_id=payload.cohort_id
    )
    launch = replace(launch, carried=given.carried, phase=phase)
    if few:
        return await decide_now(ctx, launch, [members_of(text) for text in given.chunks])
    await ctx.ledger.planning.create(launch, given.chunks)
    ctx.wake("launches")
    return launch


async def begun_before(ctx: Context) -> tuple[str, Launch | None]:
    """Return the id for the launch of this request, and the launch that an earlier try of the request left.

    A try may have ended in a crash, or without a ledger, after people were invited: with the same idempotency
    key they are not invited again, whatever `reinvite_after_days` allows. A launch that ended in an error, or
    is older than the promise of a key, is begun anew.
    """
    if ctx.request is None:
        return f"lau_{secrets.token_hex(12)}", None
    for n in count():
        launch_id = f"lau_{ctx.ledger.keyed_hash(f'{ctx.request}{n}')[:24]}"
        launch = await ctx.ledger.launches.find(launch_id)
        if launch is None:
            return launch_id, None
        has_failed = launch.error is not None or (launch.single and (launch.failed or launch.cancelled))
        if not has_failed and launch.created_at > ctx.clock.now() - _KEY_KEPT:
            return launch_id, launch
    raise AssertionError("count() does not end")


def new_launch(
    ctx: Context,
    launch_id: str,
    connection: str,
    options: LaunchOptions,
    *,
    goes_on: bool,
    phase: Phase,
    cohort_id: str | None = None,
    single: bool = False,
) -> Launch:
    """Return a launch that is about to be planned."""
    now = ctx.clock.now()
    return Launch(
        id=launch_id,
        connection=connection,
        status=LaunchStatus.PLANNING,
        created_at=now,
        options=options,
        goes_on=goes_on,
        phase=phase,
        phase_due=now,
        cohort_id=cohort_id,
        single=single,
    )


async def decide_now(ctx: Context, launch: Launch, chunks: list[list[Member]]) -> Launch:
    """Decide over a few members in the call that brought them. Raises the error that ends planning."""
    if await ctx.ledger.launches.find(launch.id) is None:
        await ctx.ledger.planning.create(launch)
    try:
        planned = await planning.decide(ctx, launch, planning.chunks_of(chunks))
    except ConnectorError as error:
        await ctx.ledger.planning.end_unplanned(None, launch.id, error.reason, error.message, ctx.clock.now())
        raise
    if planned is not None and planned.phase is Phase.ACTIVATE:
        await planning.activate(ctx, planned)
    return await ctx.ledger.launches.find(launch.id) or launch


def _given(
    people: Sequence[MemberInput],
    email_property: str,
    name_property: str,
    quota_property: str | None,
    segment_by: str | None,
) -> Given:
    """Return people as they are stored. Raises `InvalidInput`."""
    members, wrong = list[Member](), list[int]()
    for at, person in enumerate(people):
        properties = person.properties or {}
        email = person.email or property_of(properties, email_property)
        name = person.name or name_in(properties, name_property)
        one = member(person.user_id, email, name)
        members.append(valued(one, properties, quota_property, segment_by))
        if person.email is not None and members[-1].has_bad_email:
            wrong.append(at)
    if wrong:
        more = f" ({len(wrong)} such members)" if len(wrong) > 1 else ""
        raise InvalidInput(
            f"members.{wrong[0]}.email: is no e-mail address{more}; no person was invited.",
            errors=[FieldError(f"/members/{at}/email", "is no e-mail address") for at in wrong[:_MOST_SHOWN]],
        )
    return Given(len(members), carried(person.properties or {} for person in people), chunks_of(members))
