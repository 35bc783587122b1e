"""Stand-ins for the ports that need a network or a clock, and values to put into a ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import count
from typing import Any

from connector.amplitude.responses import Answer, Kind
from connector.domain.launches.launch import KojiStart
from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.run import RunItem, chunks_of
from connector.domain.results.sync import InboundWebhook, Settlement, Sync
from connector.errors import NotFound
from connector.ledger.ledger import Ledger

NOW = 1_790_000_000_000
Counted = Callable[[str], None]
"""The fixture `counted`: it takes a sentence that is printed at the end of the run."""
_numbers = count()


class ManualClock:
    """Time that passes only when a test says so, or when a caller sleeps."""

    def __init__(self, now: int = NOW) -> None:
        self.time = now

    def now(self) -> int:
        return self.time

    def elapsed(self) -> int:
        return self.time - NOW  # another origin, so that a mix of the two clocks shows

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self.time += round(seconds * 1000)


class FakeKoji:
    """Interviews by id; an exception in place of a body or of an answer to a start is raised."""

    def __init__(
        self,
        interviews: Mapping[str, Mapping[str, Any] | Exception] | None = None,
        answers: Sequence[KojiStart | Exception] = (),
    ) -> None:
        self.interviews = dict(interviews or {})
        self.answers = list(answers)
        self.reads: list[str] = []
        self.starts: list[Mapping[str, Any]] = []
        self.completed: list[tuple[str, str, str]] = []

    async def turn(self) -> None:
        await asyncio.sleep(0)

    async def start(self, body: Mapping[str, Any]) -> KojiStart:
        self.starts.append(body)
        number = len(self.starts)
        answer = self.answers.pop(0) if self.answers else KojiStart(f"int_{number}", f"st_{number}", None)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def complete(
        self, interview_id: str, session_token: str, reason: str, *, patience: float | None = None
    ) -> Mapping[str, Any]:
        self.completed.append((interview_id, session_token, reason))
        return {"interview_id": interview_id, "status": "completed"}

    async def read(
        self, interview_id: str, *, patience: float | None = None, fresh: bool = False
    ) -> Mapping[str, Any]:
        self.reads.append(interview_id)
        interview = self.interviews.get(interview_id, NotFound("Koji has no interview of that id."))
        if isinstance(interview, Exception):
            raise interview
        return interview


class FakeAmplitude:
    """Answer with `answers` in their order, then accept everything. `sent` are the events of each request, parsed."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.sent: list[list[dict[str, Any]]] = []

    async def send(self, events: Sequence[str], user_ids: Sequence[str]) -> Answer:
        assert len(events) == len(user_ids)
        self.sent.append([json.loads(event) for event in events])
        return self._answer(len(events))

    async def probe(self) -> Answer:
        return self._answer(0)

    def _answer(self, events: int) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        return Answer(Kind.ACCEPTED, 200, "", events_ingested=events)


def a_webhook(interview_id: str | None = "int_1", **fields: Any) -> InboundWebhook:
    """Return a webhook about an interview; each has a body and a digest of its own unless `fields` say otherwise."""
    body = fields.pop("body", json.dumps({"interview_id": interview_id, "nr": next(_numbers)}))
    values: dict[str, Any] = {
        "connection": "default",
        "received_at": NOW,
        "source": "webhook",
        "state": "unreadable" if interview_id is None else "new",
        "event": "interview.analysis_ready",
        "digest": sha256(str(body).encode("utf-8", "surrogatepass")).hexdigest()[:32],
    }
    return InboundWebhook(interview_id=interview_id, body=body, **(values | fields))


def a_sync(interview_id: str = "int_1", user: str = "ada@example.com", **fields: Any) -> Sync:
    """Return a sync that is due to be sent now."""
    values: dict[str, Any] = {
        "connection": "default",
        "status": SyncStatus.PENDING,
        "stage": Stage.SEND,
        "due": NOW,
        "first_received_at": NOW,
        "updated_at": NOW,
        "completed_at": NOW - 60_000,
        "facts": Interview(
            interview_id, ready=True, respondent_email=user, themes=("pricing",), quality_score=4.5
        ),
        "user_id": user,
        "user_hash": sha256(user.encode()).hexdigest()[:32],
        "identify": json.dumps({"event_type": "$identify", "user_id": user}),
        "event": json.dumps({"event_type": "koji.interview_completed", "user_id": user}),
    }
    return Sync(interview_id=interview_id, **(values | fields))


def a_settlement(sync: Sync, status: SyncStatus = SyncStatus.SYNCED, **fields: Any) -> Settlement:
    """Return the settlement of one send."""
    values: dict[str, Any] = {
        "reason": None,
        "due": NOW + 1_000 if status is SyncStatus.PENDING else None,
        "attempts": (*sync.attempts, {"at": NOW, "outcome": "accepted", "status": 200}),
        "unknown_since": sync.unknown_since,
        "tries": sync.tries + 1,
        "synced_at": NOW if status is SyncStatus.SYNCED else None,
    }
    return Settlement(
        connection=sync.connection, interview_id=sync.interview_id, status=status, **(values | fields)
    )


async def a_run(ledger: Ledger, run_id: str, interview_ids: Sequence[str]) -> None:
    """Store a backfill that covers interviews, as the worker leaves it."""
    items = [RunItem(None, None, interview_id) for interview_id in interview_ids]
    chunks, total = chunks_of(items), len(set(interview_ids))
    await ledger.runs.create(run_id, "default", "backfill_interviews", "backfill", chunks, total, NOW)
    while chunk := await ledger.runs.next_chunk(["default"], ()):
        await ledger.runs.cover(None, chunk)
