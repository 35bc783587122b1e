"""The services outside of a workbench, whose next call may meet trouble."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from connector.amplitude.responses import Answer, Kind, classify
from connector.domain.launches.launch import KojiStart
from connector.errors import UpstreamUnavailable
from connector.koji.refusals import COMPLETE, READ, KojiRefused, refusal, start_in_doubt, start_refusal

if TYPE_CHECKING:
    from tests.support.workbench import Workbench

T = TypeVar("T")
WEEK = 7 * 86_400_000


class Killed(BaseException):
    """The process dies here."""


class Trouble(NamedTuple):
    """What one call meets: the status of its answer (0: none), and whether the other side did its work.

    Our process may die before it hears the answer, or oversleep until another one owns the lane.
    """

    status: int = 200
    happens: bool = True
    body: Mapping[str, Any] | None = None
    dies: bool = False
    oversleeps: bool = False


class Outside:
    """The next call's trouble, and what else happens while it is under way."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.trouble = Trouble()
        self.meanwhile: Callable[[], Coroutine[Any, Any, object]] | None = None

    async def call(self, work: Callable[[], T]) -> tuple[Trouble, T | None]:
        """Let one call happen; return its trouble, and the result of the other side's work if it did any."""
        met, self.trouble = self.trouble, Trouble()
        meanwhile, self.meanwhile = self.meanwhile, None
        done = work() if met.happens else None
        if meanwhile is not None:
            await meanwhile()
        if met.dies:
            raise Killed
        if met.oversleeps:
            await self.bench.take_over()
        return met, done


class Koji(Outside):
    """Koji: interviews by id, as a read returns them, and who was started."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self.interviews: dict[str, dict[str, Any]] = {}
        self.started: Counter[str] = Counter()
        self.kept_out: set[str] = set()
        self.charged = 0

    async def turn(self) -> None:
        """Let every call begin at once."""

    async def read(self, interview_id: str, **_: Any) -> Mapping[str, Any]:
        met, body = await self.call(lambda: self.interviews.get(interview_id))
        if met.status == 0:
            raise UpstreamUnavailable("Koji was cut.", retry_after=1)
        if met.status >= 300 or body is None:
            raise refusal(KojiRefused(met.status if met.status >= 300 else 404), READ)
        return body

    async def start(self, body: Mapping[str, Any]) -> KojiStart:
        email = body["respondent"]["metadata"]["email"]
        assert email not in self.kept_out, "a person who said no or was erased is invited"
        self.charged += 1
        met, interview_id = await self.call(lambda: self._begin(email, body["respondent"]["external_id"]))
        if met.status == 0:
            raise start_in_doubt("Koji was cut")
        if met.status >= 300:
            error = start_refusal(KojiRefused(met.status))
            self.charged -= error.reason != "outcome_unknown" and not met.oversleeps
            raise error
        return KojiStart(interview_id, f"st_{interview_id}", None)

    async def complete(self, interview_id: str, *_: Any, **__: Any) -> Mapping[str, Any]:
        met, _done = await self.call(lambda: None)
        if met.status == 0 or met.status >= 300:
            raise refusal(KojiRefused(met.status or 504), COMPLETE)
        return {"interview_id": interview_id, "status": "completed"}

    def _begin(self, email: str, external_id: str) -> str:
        self.started[email] += 1
        interview_id = f"int-started-{self.started.total()}"
        self.interviews[interview_id] = {
            "interview_id": interview_id,
            "status": "active",
            "external_id": external_id,
            "respondent": {"email": email},
        }
        return interview_id


class Amplitude(Outside):
    """Amplitude: events by insert id, which it knows for seven days, and how often each interview counts."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self.counted: Counter[str] = Counter()
        self.forced: set[str] = set()
        self.kept_out: set[str] = set()
        self._seen: dict[tuple[str, str], int] = {}

    async def send(self, events: Sequence[str], user_ids: Sequence[str]) -> Answer:
        parsed = [json.loads(event) for event in events]
        for one, user_id in zip(parsed, user_ids, strict=True):
            assert one["user_id"] == user_id
            unset = "$unset" in one.get("user_properties", {})
            assert unset or user_id not in self.kept_out, "an erased person is sent"
        met, _done = await self.call(lambda: self._ingest(parsed))
        if met.status == 0:
            return Answer(Kind.UNKNOWN, None, "The call was cut.")
        usual = {"code": met.status, **({"events_ingested": len(events)} if met.status == 200 else {})}
        body = usual if met.body is None else met.body
        return classify(met.status, json.dumps(body).encode(), {}, user_ids)

    async def probe(self) -> Answer:
        return Answer(Kind.ACCEPTED, 200, "", events_ingested=0)

    def _ingest(self, events: Sequence[Mapping[str, Any]]) -> None:
        now = self.bench.clock.now()
        for one in events:
            if "insert_id" not in one:
                continue
            key = one["user_id"], one["insert_id"]
            is_known = now - self._seen.get(key, now - WEEK) < WEEK
            self._seen.setdefault(key, now)
            if is_known or one["event_type"] != "koji.interview_completed":
                continue
            interview_id = one["event_properties"]["interview_id"]
            assert not self.counted[interview_id] or interview_id in self.forced, "an interview counts twice"
            self.counted[interview_id] = 1
            self._seen[key] = now


class Subscriber(Outside):
    """A subscriber to hooks: every message that reached it, by its id."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self.got: Counter[str] = Counter()
        self.bodies: dict[str, Any] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        name = headers["webhook-id"]
        met, _done = await self.call(lambda: self.got.update([f"{url} {name}"]))
        if met.status == 0:
            raise TimeoutError
        return met.status, {}

    async def close(self) -> None:
        """Keep no connection."""
