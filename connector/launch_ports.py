"""What operations and lanes see of launches and invitations in the book (beside `connector.context`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from connector.domain.launches.eligibility import Choice, Known, LaunchRules
from connector.domain.launches.launch import (
    Invitation,
    InvitationState,
    Invited,
    Launch,
    LaunchStatus,
    Phase,
    StartResult,
)
from connector.domain.lease import Lease, Pause
from connector.domain.people.same_person import KeyedMember, Member
from connector.domain.results.sync import ListFilter


class Launches(Protocol):
    """Launches from their planning to their end. Every method raises `StoreUnavailable`.

    Those that take a lease raise `Conflict` when it was lost.
    """

    plan_key: bytes

    def keyed(self, connection: str, members: Sequence[Member]) -> list[KeyedMember]:
        """Return members with the keys of their aliases. Works without the store."""
        ...

    async def create(self, launch: Launch, source: Sequence[Sequence[Member]] = ()) -> None:
        """Store a launch, with its members where they came with the call."""
        ...

    async def find(self, launch_id: str) -> Launch | None:
        """Return one launch."""
        ...

    async def listed(
        self, connection: str, where: ListFilter, *, limit: int, after: tuple[int, str] | None
    ) -> list[Launch]:
        """Return launches, newest first, beginning after a (creation, launch id). Plans are among them."""
        ...

    async def invitations(
        self, launch_id: str, states: Sequence[InvitationState], *, limit: int, after: int
    ) -> list[Invitation]:
        """Return invitations of a launch in these states, in the cohort's order, after a position."""
        ...

    async def in_phases(self, phases: Sequence[Phase]) -> list[Launch]:
        """Return launches in these phases, the longest waiting first."""
        ...

    async def source(self, launch_id: str, position: int) -> list[Member] | None:
        """Return one stored piece of a launch's members; None after the last."""
        ...

    async def history(self, keyed: Sequence[KeyedMember]) -> Sequence[Known]:
        """Return what is known of each of these members, in their order."""
        ...

    async def learn(self, keyed: KeyedMember) -> None:
        """Let all aliases of somebody who is known lead to the same person."""
        ...

    async def begin_reading(self, lease: Lease | None, launch_id: str) -> bool:
        """Forget an interrupted attempt to decide over the members; False when the launch was called off."""
        ...

    async def add_choices(
        self,
        lease: Lease | None,
        launch_id: str,
        choices: Sequence[Choice],
        learn: Sequence[Choice],
        now: int,
    ) -> bool:
        """Store the next decisions, and the new aliases of `learn`; False when the launch was called off."""
        ...

    async def set_phase(
        self,
        lease: Lease | None,
        launch_id: str,
        phase: Phase,
        *,
        due: int,
        request_id: str | None = None,
        cohort_name: str | None = None,
        words: str | None = None,
    ) -> None:
        """Move a launch that is still in planning; None leaves a value as it is, `words` too."""
        ...

    async def end_planning(self, lease: Lease | None, launch_id: str, now: int) -> Launch | None:
        """End the decisions: in a plan, or in the phase `activate`. None when the launch was called off."""
        ...

    async def end_unplanned(
        self, lease: Lease | None, launch_id: str, code: str, words: str, now: int
    ) -> None:
        """End planning that cannot succeed; nobody is invited."""
        ...

    async def use_plan(self, launch_id: str, now: int) -> Launch | None:
        """Let a plan go on, unless it is expired or was used; return it as it is then."""
        ...

    async def activate(self, launch_id: str, rules: LaunchRules, now: int, limit: int) -> bool:
        """Look once more at up to `limit` planned people; return whether there may be more.

        Who was taken meanwhile moves to the skipped. After the last the launch is running, or finished.
        """
        ...

    async def cancel(self, launch_id: str, now: int) -> Launch | None:
        """Stop what is not sent yet; None for an unknown launch."""
        ...

    async def resume(self, launch_id: str, in_doubt: str | None, now: int) -> Launch | None:
        """End a pause; `in_doubt` ones are tried again (`retry`) or given up (`give_up`)."""
        ...

    async def delete_unused_plans(self, before: int) -> int:
        """Delete plans that ended before a time and were never used; return how many."""
        ...

    async def note_download(self, lane: str, now: int) -> None:
        """Count one cohort download of an Amplitude project."""
        ...

    async def downloads(self, lane: str, since: int) -> list[int]:
        """Return when cohorts were downloaded since a time, oldest first."""
        ...


class Invitations(Protocol):
    """Invitations on their way. Raises as `Launches`."""

    async def next_waiting(
        self, connections: Sequence[str], *, single: bool, besides: Collection[str] = ()
    ) -> Invitation | None:
        """Return who is next in the running launches of these connections, but of those `besides`."""
        ...

    async def begin_start(
        self,
        lease: Lease,
        invitation: Invitation,
        *,
        credit_lane: str,
        cost: int,
        cap: int,
        now: int,
        people_a_day: int | None = None,
    ) -> str:
        """Commit that an interview is about to be started, and its credits.

        Returns `sending`, `held` (the day's credits do not suffice), `full` (the launch started its
        `people_a_day`) or `gone` (called off meanwhile).
        """
        ...

    async def started(self, lease: Lease, invitation_id: str, handed: StartResult, now: int) -> None:
        """Store what a person was handed."""
        ...

    async def not_started(
        self, lease: Lease, invitation_id: str, *, credit_lane: str, cost: int, now: int
    ) -> None:
        """Put back an invitation whose start surely did not happen, and its credits."""
        ...

    async def in_doubt(self, lease: Lease, invitation_id: str, words: str, now: int) -> None:
        """Note that nobody knows whether an interview was started."""
        ...

    async def failed(
        self,
        lease: Lease,
        invitation_id: str,
        reason: str,
        words: str,
        *,
        credit_lane: str,
        cost: int,
        now: int,
    ) -> None:
        """Note that Koji refused this one person; a later launch may invite them."""
        ...

    async def recover(self, lease: Lease, connections: Sequence[str], now: int) -> int:
        """Give starts that a dead owner left behind an unknown outcome; return how many."""
        ...

    async def pause(self, connections: Sequence[str], code: str, now: int) -> int:
        """Pause every running launch of these connections; return how many."""
        ...

    async def await_koji(self, connections: Sequence[str], rest: Pause, began: int, now: int) -> None:
        """Let a key's lane rest until Koji answers, and tell the running launches of these connections.

        Each hears once since `began` (ms; 0: once at all), and once in ten minutes if Koji comes and goes.
        """
        ...

    async def await_day(self, lease: Lease, launch_id: str, now: int) -> None:
        """Tell, once a UTC day, that a running launch waits for the credits of the next."""
        ...

    async def credits_left(self, credit_lane: str, cap: int, now: int) -> int:
        """Return how many credits of the UTC day are left."""
        ...

    async def due(self, connections: Sequence[str], now: int, *, complete: bool) -> Invitation | None:
        """Return the longest silent invitation that must be read, or with `complete` ended."""
        ...

    async def next_due(self, connections: Sequence[str]) -> int | None:
        """Return when the next silent invitation must be read or ended."""
        ...

    async def polled(self, lease: Lease, invitation_id: str, due: int | None, now: int) -> None:
        """Note that a silent one was read: read again at `due`, or expired."""
        ...

    async def completing(self, lease: Lease, invitation_id: str, due: int | None) -> None:
        """Note when a silent one must be ended again; None: no more."""
        ...

    async def invited(self, connection: str, external_ids: Sequence[str]) -> Mapping[str, Invited]:
        """Return whom we invited under external ids; foreign ones are not among them."""
        ...

    async def find_many(self, invitation_ids: Sequence[str]) -> Mapping[str, Invitation]:
        """Return those invitations that are there, by id."""
        ...

    async def find(self, invitation_id: str) -> Invitation | None:
        """Return one invitation."""
        ...

    async def of_interview(self, connection: str, interview_id: str) -> Invitation | None:
        """Return the invitation whose interview this is."""
        ...

    async def of_person(self, keys: Sequence[int]) -> Invitation | None:
        """Return the newest invitation that takes the person behind these aliases."""
        ...

    def opened(self, sealed: str) -> str:
        """Return a session token. Works without the store; raises `NotConfigured` for a lost key."""
        ...


__all__ = ["Invitations", "LaunchStatus", "Launches"]
