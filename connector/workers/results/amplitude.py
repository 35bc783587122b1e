"""The Amplitude worker sends due interviews in few requests, and settles every interview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from connector.amplitude.responses import Answer, Kind
from connector.context import Amplitude, Context
from connector.domain.lease import Lease, Pause
from connector.domain.results.interview import Stage, SyncStatus
from connector.domain.results.mapping import unset
from connector.domain.results.sync import Outgoing, Settlement, Sync, settlement
from connector.settings.rules import sync_rules
from connector.workers.backoff import CREDENTIAL_WAIT, backoff
from connector.workers.base import INTERNAL_ERROR, Worker, is_interruption, time_left
from connector.workers.results.batching import by_user_rate, events_of, parts
from connector.workers.results.settlement import accepted, attempt_of, put_back

LARGEST_BATCH = 500
STOP_AFTER_UNKNOWN = 6 * 86_400_000  # Amplitude forgets insert ids after 7 days
_LONGEST_PACE = 10_000  # ms
_UNNAMED_WAIT = 30_000  # ms
_STOPS = frozenset({Kind.PAUSED, Kind.UNAVAILABLE, Kind.UNKNOWN})
_log = structlog.get_logger(__name__)


class AmplitudeWorker(Worker):
    """Sends the interviews of one Amplitude project; one request holds both writes of an interview."""

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
        most = events_per_second // 2 if events_per_second else LARGEST_BATCH
        self._batch = self._largest = max(1, min(LARGEST_BATCH, most))
        self._failures = self._paused_until = self._paced_until = 0
        self._paused_for_key = self._refused = False
        self._open: dict[tuple[str, str], Outgoing] = {}

    async def recover(self, lease: Lease, /) -> None:
        """Mark the outcome of a stopped worker's sends as unknown, and end the lane's pauses."""
        self._paced_until = lease.paced_until
        await self._ledger.leases.resume(self.name)
        stored = await self._ledger.connection_pauses.listed(self._connections)
        self._refused = any(pause.upstream == "amplitude" for pause in stored)
        if lost := await self._ledger.sending.recover(lease, self._connections, self._clock.now()):
            _log.warning("sends_of_unknown_outcome", lane=self.name, interviews=lost)

    async def drain(self, lease: Lease) -> int | None:
        """Send one batch."""
        now = self._clock.now()
        rest = self._paused_until - self._clock.elapsed()
        if self._paused_for_key and (rest <= 0 or not await self._is_paused()):
            # the pause ends before the attempt: a caller who asks meanwhile waits for the attempt's outcome
            self._paused_for_key, self._paused_until, rest = False, 0, 0
            await self._ledger.leases.resume(self.name)
        pause = max(rest, self._pace_left())
        if pause > 0:
            return pause
        # a read comes first, because an idle worker must not write
        following = await self._ledger.syncs.next_due(Stage.SEND, self._connections)
        if (due := await self._ledger.erasures.due_unset(self._connections, now, self.held())) is not None:
            run_id, connection = due
            # tried again later, and never given up
            await self.attempt(run_id, connection, self._unset(lease, run_id), self.later)
            return 0
        if (wait := time_left(following, now)) != 0:
            if self._refused:  # no due request would show whether the key is accepted again
                await self._after(await self._amplitude.probe())
                return 0
            return self.next_attempt(wait)
        taken = await self._ledger.sending.begin(lease, self._connections, now, self._batch)
        if not taken:
            return 1
        await self._send(lease, taken)
        return 0 if len(taken) == self._batch else 1

    async def _send(self, lease: Lease, taken: Sequence[Outgoing]) -> None:
        """Send and settle the interviews taken; after a fault halves find out which one fails."""
        self._open = {(sent.sync.connection, sent.sync.interview_id): sent for sent in taken}
        try:
            now = self._clock.now()
            going, later = by_user_rate(await self._without_expired(lease, taken, now), now)
            if later:
                await self._settle(lease, later)
            await self._deliver(lease, going)
        except Exception as error:
            unsettled = list(self._open.values())
            if is_interruption(error) or not unsettled:
                raise
            if len(unsettled) == 1:
                await self._put_off(lease, unsettled[0], error)
                return
            middle = len(unsettled) // 2
            try:
                await self._send(lease, unsettled[:middle])
            finally:  # also if one of the first half cannot even be put off
                await self._send(lease, unsettled[middle:])

    async def _put_off(self, lease: Lease, sent: Outgoing, error: Exception) -> None:
        fault = await self.failed(_job(sent.sync), sent.sync.connection, error)
        attempt = {"at": fault.at, "outcome": INTERNAL_ERROR, "status": None, "words": fault.error}
        status = SyncStatus.FAILED if fault.due is None else SyncStatus.PENDING
        # the request may have been sent
        failed = settlement(sent.sync, status, INTERNAL_ERROR, attempt, due=fault.due, unknown_at=fault.at)
        await self._ledger.sending.settle(lease, [failed], fault.at, self._paced_until)

    async def _settle(self, lease: Lease, settlements: Sequence[Settlement]) -> None:
        await self._ledger.sending.settle(lease, settlements, self._clock.now(), self._paced_until)
        for settled in settlements:
            key = settled.connection, settled.interview_id
            sent = self._open.pop(key, None)
            if settled.status is not SyncStatus.PENDING:
                if sent is not None:
                    began, now = sent.sync.first_received_at, self._clock.now()
                    self._context.trace("interview", *key, began, now, whole=True, outcome=settled.status)
                await self.succeeded(_job(settled))

    async def _is_paused(self) -> bool:
        return any(pause.lane == self.name for pause in await self._ledger.leases.pauses())

    async def _without_expired(self, lease: Lease, taken: Sequence[Outgoing], now: int) -> list[Outgoing]:
        """Return recent sends; fail the sends too old for Amplitude to recognise as duplicates."""
        going: list[Outgoing] = []
        expired: list[Settlement] = []
        for outgoing in taken:
            since = outgoing.sync.unknown_since
            may_count_twice = not (outgoing.sync.force or outgoing.sync.is_refresh)
            if since is not None and now - since >= STOP_AFTER_UNKNOWN and may_count_twice:
                expired.append(settlement(outgoing.sync, SyncStatus.FAILED, "outcome_unknown"))
            else:
                going.append(outgoing)
        if expired:
            await self._settle(lease, expired)
        return going

    async def _deliver(self, lease: Lease, taken: list[Outgoing]) -> None:
        """Send interviews, in as many requests as the answers require."""
        open_parts = [part for part in reversed(parts(taken)) if part]
        while open_parts:
            part = open_parts.pop()
            await self._pace()
            sent_at = self._clock.now()
            events, user_ids, owners = events_of(part, sent_at)
            answer = await self._amplitude.send(events, user_ids)
            for sent in part:
                step = "amplitude.send", sent.sync.connection, sent.sync.interview_id
                self._context.trace(
                    *step, sent_at, self._clock.now(), answer=answer.kind, status=answer.status
                )
            self._paced_until = sent_at + self._pace_left() + self._cost(len(events))
            unsettled, settlements = self._judge(part, owners, answer, sent_at)
            open_parts += [p for p in reversed(unsettled) if p]
            if answer.kind in _STOPS or self._context.stopping.is_set():
                # interviews that were taken and not sent go back unchanged
                settlements += [put_back(unsent, self._clock.now()) for rest in open_parts for unsent in rest]
                open_parts = []
            # before the settlement: no interview may show an answer that the worker has not acted on
            await self._after(answer)
            await self._settle(lease, settlements)
            counts = {"interviews": len(part), "events": len(events)}
            _log.info("batch_sent", lane=self.name, **counts, outcome=str(answer.kind), status=answer.status)

    async def _unset(self, lease: Lease, run_id: str) -> None:
        """Unset our user properties of an erased person; no earlier write is still in flight."""
        if (due_unset := await self._ledger.erasures.next_unset(run_id)) is None:
            return
        await self._pace()
        now = self._clock.now()
        rules = (sync_rules(self._context.connection(name)) for name in self._connections)
        added = {name for each in rules for name in each.added.user}
        answer = await self._amplitude.send([unset(due_unset.user_id, now, added)], [due_unset.user_id])
        self._paced_until = now + self._pace_left() + self._cost(1)
        await self._after(answer)
        refused = answer.kind in (Kind.REJECTED, Kind.REFUSED, Kind.TOO_LARGE)
        done = refused or answer.kind is Kind.ACCEPTED
        due = None if done else now + 1000 * max(answer.held.values(), default=0)
        await self._ledger.erasures.settle_unset(lease, due_unset, due=due, refused=refused, now=now)

    async def _pace(self) -> None:
        if wait := self._pace_left():
            await self._clock.sleep(wait / 1000)

    def _pace_left(self) -> int:
        """Return the milliseconds to wait for the project's event rate."""
        left = self._paced_until - self._clock.now()
        # no request costs more; a longer wait means that the clock was set back
        return max(0, left) if left <= _LONGEST_PACE else 0

    def _cost(self, events: int) -> int:
        return events * 1000 // self._rate if self._rate else 0

    def _judge(
        self, part: list[Outgoing], owners: Sequence[int], answer: Answer, sent_at: int
    ) -> tuple[list[list[Outgoing]], list[Settlement]]:
        """Return the parts to send again at once, and the settlements of the answer."""
        now = self._clock.now()
        attempt = attempt_of(answer, sent_at, len(owners))
        match answer.kind:
            case Kind.ACCEPTED:
                return [], [accepted(sent, attempt, sent_at, now) for sent in part]
            case Kind.REJECTED | Kind.THROTTLED if answer.rejected or answer.held:
                return self._named(part, owners, answer, attempt)
            case Kind.REJECTED | Kind.REFUSED | Kind.TOO_LARGE if len(part) > 1:
                middle = len(part) // 2
                return [part[:middle], part[middle:]], []
            case Kind.REJECTED | Kind.REFUSED | Kind.TOO_LARGE:
                return [], [settlement(part[0].sync, SyncStatus.FAILED, "rejected_by_amplitude", attempt)]
            case _:
                return [], [self._waiting(sent, attempt, answer, sent_at) for sent in part]

    def _waiting(
        self, sent: Outgoing, attempt: Mapping[str, Any], answer: Answer, sent_at: int
    ) -> Settlement:
        """Settle an interview as pending: a later request sends the interview again."""
        now = self._clock.now()
        match answer.kind:
            case Kind.THROTTLED:
                reason, due = "throttled", now + max(_UNNAMED_WAIT, (answer.retry_after or 0) * 1000)
            case Kind.PAUSED:
                reason, due = "amplitude_paused", now
            case _:
                reason, due = "amplitude_unavailable", now + backoff(self._failures + 1)
        unknown_at = sent_at if answer.kind is Kind.UNKNOWN else None
        return settlement(sent.sync, SyncStatus.PENDING, reason, attempt, due=due, unknown_at=unknown_at)

    def _named(
        self, part: list[Outgoing], owners: Sequence[int], answer: Answer, attempt: Mapping[str, Any]
    ) -> tuple[list[list[Outgoing]], list[Settlement]]:
        """Settle the interviews that Amplitude named; return the others to send again at once."""
        refused = {owners[index]: words for index, words in answer.rejected.items()}
        held = {owners[index]: wait for index, wait in answer.held.items()}
        settlements = []
        unsettled = []
        for position, sent in enumerate(part):
            if position in refused:
                rejected = {**attempt, "outcome": "rejected", "words": refused[position]}
                settlements.append(
                    settlement(sent.sync, SyncStatus.FAILED, "rejected_by_amplitude", rejected)
                )
            elif position in held:
                due = self._clock.now() + held[position] * 1000
                settlements.append(settlement(sent.sync, SyncStatus.PENDING, "throttled", attempt, due=due))
            else:
                unsettled.append(sent)
        return [unsettled], settlements

    async def _after(self, answer: Answer) -> None:
        elapsed, now = self._clock.elapsed(), self._clock.now()
        if self._refused and answer.kind not in _STOPS:
            self._refused = False
            await self._ledger.connection_pauses.end(self.name, self._connections, now)
        match answer.kind:
            case Kind.ACCEPTED:
                self._failures, self._batch = 0, min(self._largest, self._batch * 2)
            case Kind.PAUSED:
                self._paused_for_key, self._paused_until = True, elapsed + CREDENTIAL_WAIT
                self._refused = True
                _log.warning("amplitude_lane_paused", lane=self.name, status=answer.status)
                pause = Pause(self.name, now + CREDENTIAL_WAIT, "amplitude_key", answer.message)
                await self._ledger.connection_pauses.begin(self._connections, pause, now)
            case Kind.UNAVAILABLE | Kind.UNKNOWN:
                self._failures += 1
                self._paused_until = elapsed + backoff(self._failures, answer.retry_after)
                if answer.kind is Kind.UNKNOWN:
                    # smaller requests soon isolate an interview that Amplitude cannot process
                    self._batch = max(1, self._batch // 2)
                _log.warning(
                    "amplitude_unavailable", lane=self.name, status=answer.status, failures=self._failures
                )
            case Kind.THROTTLED if not answer.held:
                self._paused_until = elapsed + backoff(self._failures + 4, answer.retry_after)


def _job(sync: Sync | Settlement) -> str:
    return f"{sync.connection}/{sync.interview_id}"
