"""The Amplitude worker: sends what is due in few requests and settles every interview for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from connector.amplitude.responses import Answer, Kind
from connector.context import Amplitude, Context
from connector.domain.lease import Lease
from connector.domain.people.erasure import Unset
from connector.domain.results.interview import Stage, SyncStatus
from connector.domain.results.mapping import unset
from connector.domain.results.sync import Outgoing, Settlement
from connector.workers.backoff import CREDENTIAL_WAIT, backoff
from connector.workers.base import Worker, time_left
from connector.workers.results.batching import by_user_rate, events_of, parts
from connector.workers.results.settlement import accepted, attempt_of, back, pending, settlement

LARGEST_BATCH = 500
STOP_AFTER_UNKNOWN = 6 * 86_400_000  # Amplitude forgets insert ids after 7 days
_LONGEST_PACE = 10_000
_UNNAMED_WAIT = 30_000
_STOPS = frozenset({Kind.PAUSED, Kind.UNAVAILABLE, Kind.UNKNOWN})
_log = structlog.get_logger(__name__)


class AmplitudeWorker(Worker):
    """Sends the interviews of one Amplitude project, an interview's two writes always together."""

    def __init__(
        self,
        context: Context,
        name: str,
        connections: tuple[str, ...],
        amplitude: Amplitude,
        events_per_second: int,
    ) -> None:
        self.name = name
        super().__init__(context)
        self._connections = connections
        self._amplitude = amplitude
        self._rate = events_per_second
        self._largest = (
            max(1, min(LARGEST_BATCH, events_per_second // 2)) if events_per_second else LARGEST_BATCH
        )
        self._batch = self._largest
        self._failures = 0
        self._rests_until = 0
        self._paced_until = 0
        self._paused = False

    async def recover(self, lease: Lease, /) -> None:
        """Give sends that a dead owner left an unknown outcome, and end its pauses."""
        self._paced_until = lease.paced_until
        await self._context.ledger.leases.resume(self.name)
        lost = await self._context.ledger.sending.recover(lease, self._connections, self._context.clock.now())
        if lost:
            _log.warning("sends_of_unknown_outcome", lane=self.name, interviews=lost)

    async def drain(self, lease: Lease) -> int | None:
        """Send one batch."""
        now = self._context.clock.now()
        if self._paused and (now >= self._rests_until or not await self._is_paused()):
            await self._go_on()
        quiet = max(self._rests_until - now, self._pace_left())
        if quiet > 0:
            return quiet
        # asked first, because an idle lane must not write
        following = await self._context.ledger.syncs.next_due(Stage.SEND, self._connections)
        if (one := await self._context.ledger.erasures.due_unset(self._connections, now)) is not None:
            await self._take_back(lease, one)
            return 0
        if (wait := time_left(following, now)) != 0:
            return wait
        taken = await self._context.ledger.sending.begin(lease, self._connections, now, self._batch)
        if not taken:
            return 1
        going, later = by_user_rate(await self._without_expired(lease, taken, now), now)
        if later:
            await self._context.ledger.sending.settle(lease, later, now, self._paced_until)
        await self._deliver(lease, going)
        return 0 if len(taken) == self._batch else 1

    async def _is_paused(self) -> bool:
        return any(pause.lane == self.name for pause in await self._context.ledger.leases.pauses())

    async def _go_on(self) -> None:
        """End a pause before trying again: a caller who asks meanwhile waits for what the try shows."""
        self._paused, self._rests_until = False, 0
        await self._context.ledger.leases.resume(self.name)

    async def _without_expired(self, lease: Lease, taken: Sequence[Outgoing], now: int) -> list[Outgoing]:
        """Settle sends that may have been accepted too long ago for Amplitude to recognise them again."""
        going: list[Outgoing] = []
        expired: list[Settlement] = []
        for one in taken:
            since = one.sync.unknown_since
            if since is not None and now - since >= STOP_AFTER_UNKNOWN and not one.sync.force:
                expired.append(settlement(one, SyncStatus.FAILED, "outcome_unknown"))
            else:
                going.append(one)
        if expired:
            await self._context.ledger.sending.settle(lease, expired, now, self._paced_until)
        return going

    async def _deliver(self, lease: Lease, taken: list[Outgoing]) -> None:
        """Send interviews, in as many requests as the answers ask for."""
        open_parts = [part for part in reversed(parts(taken)) if part]
        while open_parts:
            part = open_parts.pop()
            await self._pace()
            sent_at = self._context.clock.now()
            events, user_ids, owners = events_of(part)
            answer = await self._amplitude.send(events, user_ids)
            self._paced_until = sent_at + self._pace_left() + self._cost(len(events))
            again, settlements = self._judge(part, owners, answer, sent_at)
            open_parts += [p for p in reversed(again) if p]
            if answer.kind in _STOPS or self._context.stopping.is_set():
                # what was taken and not sent goes back as it was
                left = [one for rest in open_parts for one in rest]
                settlements += [back(one, self._context.clock.now()) for one in left]
                open_parts = []
            # first, so that no interview shows as settled by an answer that the worker does not heed yet
            await self._after(answer)
            await self._context.ledger.sending.settle(
                lease, settlements, self._context.clock.now(), self._paced_until
            )

    async def _take_back(self, lease: Lease, one: Unset) -> None:
        """Take our user properties back from an erased person; what was in flight has landed."""
        await self._pace()
        now = self._context.clock.now()
        answer = await self._amplitude.send([unset(one.user_id, now)], [one.user_id])
        self._paced_until = now + self._pace_left() + self._cost(1)
        await self._after(answer)
        refused = answer.kind in (Kind.REJECTED, Kind.REFUSED, Kind.TOO_LARGE)
        done = refused or answer.kind is Kind.ACCEPTED
        due = None if done else now + 1000 * max(answer.held.values(), default=0)
        await self._context.ledger.erasures.settle_unset(lease, one, due=due, refused=refused, now=now)

    async def _pace(self) -> None:
        if wait := self._pace_left():
            await self._context.clock.sleep(wait / 1000)

    def _pace_left(self) -> int:
        """Return how long the project's pace asks to wait (ms)."""
        left = self._paced_until - self._context.clock.now()
        # no request costs as much: the clock was set back
        return max(0, left) if left <= _LONGEST_PACE else 0

    def _cost(self, events: int) -> int:
        return events * 1000 // self._rate if self._rate else 0

    def _judge(
        self, part: list[Outgoing], owners: Sequence[int], answer: Answer, sent_at: int
    ) -> tuple[list[list[Outgoing]], list[Settlement]]:
        """Return what to send again at once, and what the answer settles."""
        now = self._context.clock.now()
        attempt = attempt_of(answer, sent_at, len(owners))
        match answer.kind:
            case Kind.ACCEPTED:
                return [], [accepted(one, attempt, now) for one in part]
            case Kind.REJECTED | Kind.THROTTLED if answer.rejected or answer.held:
                return self._named(part, owners, answer, attempt, now)
            case Kind.REJECTED | Kind.REFUSED | Kind.TOO_LARGE if len(part) > 1:
                middle = len(part) // 2
                return [part[:middle], part[middle:]], []
            case Kind.REJECTED | Kind.REFUSED | Kind.TOO_LARGE:
                return [], [settlement(part[0], SyncStatus.FAILED, "rejected_by_amplitude", attempt)]
            case _:
                return [], [self._waiting(one, attempt, answer, sent_at) for one in part]

    def _waiting(self, one: Outgoing, attempt: Mapping[str, Any], answer: Answer, sent_at: int) -> Settlement:
        """Settle an interview that goes again, once Amplitude can be reached or lets it in."""
        now = self._context.clock.now()
        if answer.kind is Kind.THROTTLED:
            return pending(
                one, attempt, now + max(_UNNAMED_WAIT, (answer.retry_after or 0) * 1000), "throttled"
            )
        if answer.kind is Kind.PAUSED:
            return pending(one, attempt, now, "amplitude_paused")
        due = now + backoff(self._failures + 1)
        unknown = sent_at if answer.kind is Kind.UNKNOWN else None
        return pending(one, attempt, due, "amplitude_unavailable", unknown)

    def _named(
        self,
        part: list[Outgoing],
        owners: Sequence[int],
        answer: Answer,
        attempt: Mapping[str, Any],
        now: int,
    ) -> tuple[list[list[Outgoing]], list[Settlement]]:
        """Settle the interviews that Amplitude named; the others go again at once."""
        refused = {owners[index]: words for index, words in answer.rejected.items()}
        held = {owners[index]: wait for index, wait in answer.held.items()}
        settlements = []
        again = []
        for position, one in enumerate(part):
            if position in refused:
                words = {**attempt, "outcome": "rejected", "words": refused[position]}
                settlements.append(settlement(one, SyncStatus.FAILED, "rejected_by_amplitude", words))
            elif position in held:
                settlements.append(pending(one, attempt, now + held[position] * 1000, "throttled"))
            else:
                again.append(one)
        return [again], settlements

    async def _after(self, answer: Answer) -> None:
        now = self._context.clock.now()
        match answer.kind:
            case Kind.ACCEPTED:
                self._failures, self._batch = 0, min(self._largest, self._batch * 2)
            case Kind.PAUSED:
                self._paused, self._rests_until = True, now + CREDENTIAL_WAIT
                _log.warning("amplitude_lane_paused", lane=self.name, words=answer.message)
                await self._context.ledger.leases.pause(
                    self.name, self._rests_until, "amplitude_key", answer.message
                )
            case Kind.UNAVAILABLE | Kind.UNKNOWN:
                self._failures += 1
                self._rests_until = now + backoff(self._failures, answer.retry_after)
                if answer.kind is Kind.UNKNOWN:
                    # smaller requests, so that one interview which upsets Amplitude stands alone sooner
                    self._batch = max(1, self._batch // 2)
                _log.warning(
                    "amplitude_unavailable", lane=self.name, status=answer.status, failures=self._failures
                )
            case Kind.THROTTLED if not answer.held:
                self._rests_until = now + backoff(self._failures + 4, answer.retry_after)
