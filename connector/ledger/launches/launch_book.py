"""Launches and invitations as the rest of the connector sees them (`launch_ports`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from connector.domain.launches.eligibility import Choice, Known, LaunchRules, SkipReason
from connector.domain.launches.launch import (
    Invitation,
    InvitationState,
    Invited,
    Launch,
    Phase,
    StartResult,
)
from connector.domain.lease import Lease, Pause
from connector.domain.people.same_person import KeyedMember, Member
from connector.domain.results.sync import ListFilter
from connector.ledger.access.secrets import Open, Seal
from connector.ledger.db.dialect import lock_people
from connector.ledger.db.repository import Store, Work
from connector.ledger.launches import (
    attribution,
    invitations,
    launches,
    pauses,
    planning,
)
from connector.ledger.launches.launch_row import find_launch
from connector.ledger.people import aliases
from connector.ledger.runtime import leases

T = TypeVar("T")


class LaunchBook:
    """`launch_ports.Launches` on the book's tables."""

    def __init__(self, store: Store, tombstone_key: bytes, plan_key: bytes) -> None:
        self._store = store
        self._tombstone_key = tombstone_key
        self.plan_key = plan_key

    def keyed(self, connection: str, members: Sequence[Member]) -> list[KeyedMember]:
        """Return members with the keys of their aliases."""
        key = self._tombstone_key
        return [(one, aliases.alias_keys(key, connection, one)) for one in members]

    async def create(self, launch: Launch, source: Sequence[Sequence[Member]] = ()) -> None:
        """Store a launch."""
        await self._store.write(lambda c: planning.create(c, launch, source))

    async def find(self, launch_id: str) -> Launch | None:
        """Return one launch."""
        return await self._store.read(lambda c: find_launch(c, launch_id))

    async def listed(
        self, connection: str, where: ListFilter, *, limit: int, after: tuple[int, str] | None
    ) -> list[Launch]:
        """Return launches, newest first."""
        return await self._store.read(lambda c: launches.listed(c, connection, where, limit, after))

    async def invitations(
        self, launch_id: str, states: Sequence[InvitationState], *, limit: int, after: int
    ) -> list[Invitation]:
        """Return invitations of a launch."""
        return await self._store.read(lambda c: launches.invitations(c, launch_id, states, limit, after))

    async def in_phases(self, phases: Sequence[Phase]) -> list[Launch]:
        """Return launches in planning."""
        return await self._store.read(lambda c: launches.in_phases(c, phases))

    async def source(self, launch_id: str, position: int) -> list[Member] | None:
        """Return one stored piece of a launch's members."""
        return await self._store.read(lambda c: planning.source(c, launch_id, position))

    async def history(self, keyed: Sequence[KeyedMember]) -> Sequence[Known]:
        """Return what is known of members."""
        keys = [keys for _, keys in keyed]
        return await self._store.read(lambda c: aliases.history(c, keys))

    async def learn(self, keyed: KeyedMember) -> None:
        """Let all aliases of somebody who is known lead to the same person."""

        def work(c: Connection) -> None:
            lock_people(c)
            aliases.learn(c, [Choice(*keyed, SkipReason.ALREADY)])

        await self._store.write(work)

    async def begin_reading(self, lease: Lease | None, launch_id: str) -> bool:
        """Forget an interrupted attempt."""
        return await self._fenced(lease, lambda c: planning.begin_reading(c, launch_id))

    async def add_choices(
        self,
        lease: Lease | None,
        launch_id: str,
        choices: Sequence[Choice],
        learn: Sequence[Choice],
        now: int,
    ) -> bool:
        """Store the next decisions."""
        return await self._fenced(lease, lambda c: planning.add_choices(c, launch_id, choices, learn, now))

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
        """Move a launch that is in planning."""
        more = {"request_id": request_id, "cohort_name": cohort_name, "words": words}
        await self._fenced(lease, lambda c: planning.set_phase(c, launch_id, phase, due, more))

    async def end_planning(self, lease: Lease | None, launch_id: str, now: int) -> Launch | None:
        """End the decisions."""
        ended = await self._fenced(lease, lambda c: planning.end_planning(c, launch_id, now))
        if ended is not None and SkipReason.SUPPRESSED in ended.skipped:
            self._store.empty_log()  # the call named somebody who was forgotten
        return ended

    async def end_unplanned(
        self, lease: Lease | None, launch_id: str, code: str, words: str, now: int
    ) -> None:
        """End planning that cannot succeed."""
        await self._fenced(lease, lambda c: planning.end_unplanned(c, launch_id, code, words, now))

    async def use_plan(self, launch_id: str, now: int) -> Launch | None:
        """Let a plan go on."""
        return await self._store.write(lambda c: planning.use_plan(c, launch_id, now))

    async def activate(self, launch_id: str, rules: LaunchRules, now: int, limit: int) -> bool:
        """Look once more at planned people."""
        return await self._store.write(lambda c: planning.activate(c, launch_id, rules, now, limit))

    async def cancel(self, launch_id: str, now: int) -> Launch | None:
        """Stop what is not sent yet."""
        return await self._store.write(lambda c: launches.cancel(c, launch_id, now))

    async def resume(self, launch_id: str, in_doubt: str | None, now: int) -> Launch | None:
        """End a pause."""
        return await self._store.write(lambda c: launches.resume(c, launch_id, in_doubt, now))

    async def delete_unused_plans(self, before: int) -> int:
        """Delete plans that were never used."""
        return await self._store.write(lambda c: planning.delete_unused(c, before))

    async def note_download(self, lane: str, now: int) -> None:
        """Count one download."""
        await self._store.write(lambda c: launches.note_download(c, lane, now))

    async def downloads(self, lane: str, since: int) -> list[int]:
        """Return when cohorts were downloaded."""
        return await self._store.read(lambda c: launches.downloads(c, lane, since))

    async def _fenced(self, lease: Lease | None, work: Work[T]) -> T:
        def fenced(c: Connection) -> T:
            if lease is not None:
                leases.fence(c, lease)
            return work(c)

        return await self._store.write(fenced)


class InvitationBook:
    """`launch_ports.Invitations` on the book's tables."""

    def __init__(self, store: Store, seal: Seal, unseal: Open) -> None:
        self._store = store
        self._seal = seal
        self._unseal = unseal

    async def next_waiting(
        self, connections: Sequence[str], *, single: bool, besides: Collection[str] = ()
    ) -> Invitation | None:
        """Return who is next."""
        return await self._store.read(
            lambda c: invitations.next_waiting(c, connections, single=single, besides=besides)
        )

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
        """Commit that an interview is about to be started."""
        return await self._fenced(
            lease,
            lambda c: invitations.begin_start(
                c,
                invitation,
                credit_lane=credit_lane,
                cost=cost,
                cap=cap,
                now=now,
                people_a_day=people_a_day,
            ),
        )

    async def started(self, lease: Lease, invitation_id: str, handed: StartResult, now: int) -> None:
        """Store what a person was handed, the session token sealed."""
        token = handed.session_token

        def work(c: Connection) -> None:
            # inside the transaction, so that a rotation of the key sees this row or the row the new key
            sealed = None if token is None else self._seal(token.encode("utf-8", "replace")).decode("ascii")
            invitations.started(c, invitation_id, handed, sealed, now)

        await self._fenced(lease, work)

    async def not_started(
        self, lease: Lease, invitation_id: str, *, credit_lane: str, cost: int, now: int
    ) -> None:
        """Put back an invitation."""
        await self._fenced(
            lease,
            lambda c: invitations.not_started(c, invitation_id, credit_lane=credit_lane, cost=cost, now=now),
        )

    async def in_doubt(self, lease: Lease, invitation_id: str, words: str, now: int) -> None:
        """Note that nobody knows the outcome of a start."""
        await self._fenced(lease, lambda c: invitations.in_doubt(c, invitation_id, words, now))

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
        """Note that Koji refused one person."""
        await self._fenced(
            lease,
            lambda c: invitations.failed(
                c, invitation_id, reason, words, credit_lane=credit_lane, cost=cost, now=now
            ),
        )

    async def recover(self, lease: Lease, connections: Sequence[str], now: int) -> int:
        """Give starts that a dead owner left behind an unknown outcome."""
        return await self._fenced(lease, lambda c: invitations.recover(c, connections, now))

    async def pause(self, connections: Sequence[str], code: str, now: int) -> int:
        """Pause running launches."""
        return await self._store.write(lambda c: pauses.pause(c, connections, code, now))

    async def await_koji(self, connections: Sequence[str], rest: Pause, began: int, now: int) -> None:
        """Let a key's lane rest until Koji answers."""
        await self._store.write(lambda c: pauses.await_koji(c, connections, rest, began, now))

    async def await_day(self, lease: Lease, launch_id: str, now: int) -> None:
        """Tell that a launch waits for the next day's credits."""
        await self._fenced(lease, lambda c: pauses.await_day(c, launch_id, now))

    async def credits_left(self, credit_lane: str, cap: int, now: int) -> int:
        """Return how many credits of the day are left."""
        return await self._store.read(lambda c: invitations.credits_left(c, credit_lane, cap, now))

    async def due(self, connections: Sequence[str], now: int, *, complete: bool) -> Invitation | None:
        """Return the longest silent invitation."""
        return await self._store.read(lambda c: invitations.due(c, connections, now, complete=complete))

    async def next_due(self, connections: Sequence[str]) -> int | None:
        """Return when the next silent invitation is due."""
        return await self._store.read(lambda c: invitations.next_due(c, connections))

    async def polled(self, lease: Lease, invitation_id: str, due: int | None, now: int) -> None:
        """Note that a silent one was read."""
        await self._fenced(lease, lambda c: invitations.polled(c, invitation_id, due, now))

    async def completing(self, lease: Lease, invitation_id: str, due: int | None) -> None:
        """Note when a silent one must be ended again."""
        await self._fenced(lease, lambda c: invitations.completing(c, invitation_id, due))

    async def invited(self, connection: str, external_ids: Sequence[str]) -> Mapping[str, Invited]:
        """Return whom we invited under external ids."""
        ours = [one for one in external_ids if attribution.is_ours(one)]
        return await self._store.read(lambda c: attribution.invited(c, connection, ours)) if ours else {}

    async def find_many(self, invitation_ids: Sequence[str]) -> Mapping[str, Invitation]:
        """Return invitations by id."""
        return await self._store.read(lambda c: attribution.find_many(c, invitation_ids))

    async def find(self, invitation_id: str) -> Invitation | None:
        """Return one invitation."""
        return (await self.find_many([invitation_id])).get(invitation_id)

    async def of_interview(self, connection: str, interview_id: str) -> Invitation | None:
        """Return the invitation whose interview this is."""
        return await self._store.read(lambda c: attribution.of_interview(c, connection, interview_id))

    async def of_person(self, keys: Sequence[int]) -> Invitation | None:
        """Return the newest invitation that takes a person."""

        def query(c: Connection) -> Invitation | None:
            return attribution.of_person(c, sorted(set(aliases.behind(c, keys).values())))

        return await self._store.read(query)

    def opened(self, sealed: str) -> str:
        """Return a session token."""
        return self._unseal(sealed.encode("ascii")).decode()

    async def _fenced(self, lease: Lease, work: Work[T]) -> T:
        def fenced(c: Connection) -> T:
            leases.fence(c, lease)
            return work(c)

        return await self._store.write(fenced)
