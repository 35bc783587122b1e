"""Cohorts, launches, invitations and the results of starts.

Times are milliseconds since the epoch. Addresses and names are None once they were removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from connector.domain.launches.quota import Quota
from connector.domain.launches.sample import Method

KOJI_UNREACHABLE: Final = "koji_unreachable"
DAILY_CREDITS: Final = "daily_credits"
"""The reasons of pauses that end by themselves; they are never stored with a launch."""

APPROVAL: Final = "approval"
NO_LINK: Final = "no_link"
RESTORED: Final = "restored"
"""The reasons of pauses of one launch, which end when it is resumed."""

KOJI_REDIRECT: Final = "koji_redirect"
KOJI_LIMIT: Final = "koji_limit"
"""Koji answered 429: the key's worker pauses, the launches stay running."""
AWAY: Final = frozenset({KOJI_UNREACHABLE, KOJI_REDIRECT})
"""Why the Koji worker pauses until Koji answers; a launch shows both as `koji_unreachable`."""


class LaunchStatus(StrEnum):
    """The state of a launch."""

    PLANNING = "planning"
    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class InvitationState(StrEnum):
    """The state of one person's invitation."""

    PLANNED = "planned"  # decided, not launched
    WAITING = "waiting"
    SENDING = "sending"
    STARTED = "started"
    COMPLETED = "completed"
    EXPIRED = "expired"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    CANCELLED = "cancelled"
    HOLDOUT = "holdout"  # kept out, and counted among the skipped


@dataclass(frozen=True, slots=True)
class Cohort:
    """A cohort as Amplitude lists it; `size` may be stale, or unknown."""

    id: str
    name: str
    size: int | None


@dataclass(frozen=True, slots=True)
class KojiStart:
    """Koji's answer to a start. Only the interview id is documented."""

    interview_id: str | None
    session_token: str | None
    link: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOptions:
    """The options of a launch: what Koji gets with each start, and how members are read and limited."""

    max_interviews: int
    mode: str | None = None
    locale: str | None = None
    variant: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reinvite_after_days: int | None = None
    allow_without_link: bool = False
    email_property: str = "email"
    name_property: str = "name"
    sample: Method = "random"
    sample_seed: str | None = None
    override_rest: str | None = None
    quota: Quota | None = None
    stop_after_completed: int | None = None
    holdout_percent: int = 0
    segment_by: str | None = None


class Example(NamedTuple):
    """A skipped member who may be shown: the user id, why, and of a rest its rule and end (ms)."""

    user_id: str
    reason: str
    rule: str | None = None
    until: int | None = None


class Phase(StrEnum):
    """The next step of a launch in planning."""

    REQUEST = "request"  # ask Amplitude for the cohort's file
    POLL = "poll"  # wait until Amplitude has made the file
    READ = "read"  # decide over the members
    DIRECT = "direct"  # the same, in the call that brought them
    ACTIVATE = "activate"  # decide once more over the planned people, who then wait for their start


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One run over a cohort, or a plan for one. The counts are invitations in each state.

    `goes_on` says that planning ends in invitations, not in a plan. `single` marks a launch of one person by
    `start_interview`; `standing` marks one that grows with a cohort's webhook and ends only when cancelled.
    `skipped` counts people by reason, `with_email` and `bad_emails` members by what stands where their e-mail
    should be; `carried` names properties that the members have. `available` counts, as JSON, the people who
    may be invited, by the value of the quota's property, `cohort_segments` the members by that of the
    segments'. Of a launch in waves, `wave_due` is when its answers are counted again, `next_wave_at` when the
    next wave may begin. `error` and `message` say why planning ended without a plan.
    """

    id: str
    connection: str
    status: LaunchStatus
    created_at: int
    options: LaunchOptions
    goes_on: bool
    phase: Phase | None = None
    phase_due: int | None = None
    single: bool = False
    planned_at: int | None = None
    expires_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    pause_reason: str | None = None
    error: str | None = None
    message: str | None = None
    cohort_id: str | None = None
    cohort_name: str | None = None
    request_id: str | None = None
    members_total: int = 0
    with_email: int = 0
    bad_emails: int = 0
    carried: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    planned: int = 0
    waiting: int = 0
    sending: int = 0
    started: int = 0
    completed: int = 0
    expired: int = 0
    failed: int = 0
    in_doubt: int = 0
    cancelled: int = 0
    standing: bool = False
    available: str | None = None
    wave_due: int | None = None
    next_wave_at: int | None = None
    cohort_segments: str | None = None

    @property
    def seed(self) -> str | None:
        """Return the seed by which people are drawn: the caller's, else the launch's id; None without one."""
        return (self.options.sample_seed or self.id) if self.options.sample == "random" else None

    @property
    def to_invite(self) -> int:
        """Count the people who are or were to be invited."""
        return self.planned + self.left + self.invited + self.failed + self.in_doubt + self.cancelled

    @property
    def left(self) -> int:
        """Count the people whose interview is not started yet."""
        return self.waiting + self.sending

    @property
    def invited(self) -> int:
        """Count the people who have their link."""
        return self.started + self.completed + self.expired


class Invitation(NamedTuple):
    """One person in a launch. `id` is the external id that Koji returns; `person` stands for all aliases.

    `taken_at` is the time of the invitation that later launches count; None if they may invite the person.
    `draw` is the person's place in the sample, None where none is drawn. `register` stands for the person in
    the register over all connections; None once the person was erased. `session_token` is sealed. `held`
    people wait for a later wave.
    `due` is when a silent interview is read next, `polls` counts the reads.
    """

    id: str
    connection: str
    launch_id: str
    position: int
    state: InvitationState
    person: int
    created_at: int
    updated_at: int
    taken_at: int | None = None
    user_id: str | None = None
    email: str | None = None
    name: str | None = None
    interview_id: str | None = None
    link: str | None = None
    session_token: str | None = None
    reason: str | None = None
    message: str | None = None
    sending_since: int | None = None
    started_at: int | None = None
    due: int | None = None
    polls: int = 0
    complete_due: int | None = None
    draw: int | None = None
    register: int | None = None
    cell: str | None = None
    held: bool | None = None
    segment: str | None = None


class Invited(NamedTuple):
    """The invitee of an external id, and what the event says of the invitation."""

    invitee: str
    launch_id: str
    cohort_id: str | None
    cohort_name: str | None
    variant: str | None
    mode: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartResult:
    """The result of a start; `session_token` is plain, `due` and `complete_due` as in `Invitation`."""

    interview_id: str | None
    link: str | None
    session_token: str | None
    due: int
    complete_due: int | None
