"""A connector step by step: the real ledger, workers and operations; only the services outside are stand-ins.

A process may die in the middle of a call, or oversleep so that another one owns its lanes.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, TypeVar, cast

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection as DbConnection
from sqlalchemy import select

from connector.amplitude.responses import Answer, Kind, classify
from connector.app import all_workers
from connector.context import Context
from connector.domain.launches.launch import KojiStart
from connector.domain.lease import Lease
from connector.domain.results.sync import InboundWebhook
from connector.errors import Conflict, NotFound, UpstreamError, UpstreamUnavailable
from connector.koji.refusals import COMPLETE, READ, KojiRefused, refusal, start_in_doubt, start_refusal
from connector.ledger.access import secrets
from connector.ledger.db.database import Database
from connector.ledger.db.dialect import writer_engine
from connector.ledger.db.schema.launches import launch
from connector.ledger.ledger import Ledger
from connector.ledger.results import inbox
from connector.net.target_client import Targets
from connector.operations import OPERATIONS
from connector.security.caller import OURSELVES
from connector.security.sealing import Sealer
from connector.service.execution.execute import execute
from connector.settings.model import Connection, Settings
from connector.workers.base import Worker
from connector.workers.events import hooks
from connector.workers.tasks import TaskWorker
from tests.support import truth
from tests.support.fakes import ManualClock, a_webhook

T = TypeVar("T")
LEASE = 30_000
WEEK = 7 * 86_400_000
BY_NAME = {op.name: op for op in OPERATIONS}
SETTINGS = Connection(
    koji_api_key=SecretStr("koji-key"),
    amplitude_api_key=SecretStr("amplitude-key"),
    koji_project_id="ours",
    connector_null_email_is_anonymous=True,
    connector_max_credits_per_day=100_000,
)


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


class Inline:
    """The database in the thread of the caller: to wait for another thread takes longer than the work."""

    def __init__(self, url: str) -> None:
        self._engine = writer_engine(url)

    def announce(self, _kinds: object) -> None:
        """Tell nobody: there is no other process."""

    async def write(self, work: Callable[[DbConnection], T], *, patient: bool = False) -> T:
        with self._engine.begin() as c:
            return work(c)

    read = glance = write

    async def accept(self, webhook: InboundWebhook) -> bool:
        return await self.write(lambda c: inbox.accept(c, [webhook])[0])

    async def empty_log_now(self) -> bool:
        return True

    def empty_log(self) -> None:
        """Leave the log."""

    async def close(self) -> None:
        self._engine.dispose()


class Workbench:
    """One ledger and the workers of the process that owns its lanes."""

    def __init__(self, database_url: str, connection: Connection = SETTINGS) -> None:
        self._stack = ExitStack()
        self._runner = self._stack.enter_context(asyncio.Runner())
        self.clock = ManualClock()
        self.koji, self.amplitude, self.subscriber = Koji(self), Amplitude(self), Subscriber(self)
        patched = self._stack.enter_context(pytest.MonkeyPatch.context())
        patched.setattr(hooks, "TargetClient", lambda **_: self.subscriber)
        db = Inline(database_url)
        keys = self.run(db.write(lambda c: secrets.obtain(c, Sealer([b"k" * 32]))))
        self.ledger = Ledger(cast("Database", db), keys)
        self.ctx = Context(
            settings=Settings(connections={"default": connection}, connector_allow_private_targets=True),
            clock=self.clock,
            ledger=self.ledger,
            koji={"default": self.koji},
            amplitude={"default": self.amplitude},
            amplitude_users={},
            amplitude_elsewhere={},
            amplitude_cohorts={},
            targets=Targets(allow_private=True),
        )
        self._owners = 0
        self._owned: dict[str, tuple[Worker, Lease]] = {}
        self.acknowledged: set[str] = set()
        self.run(self.take_over())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    async def take_over(self) -> None:
        """Let another process own every lane, as it does when the leases of the former one have ended."""
        self.clock.advance(1 + LEASE / 1000)
        self._owners += 1
        for worker in all_workers(self.ctx):
            owner = f"process {self._owners}"
            lease = await self.ledger.leases.acquire(worker.name, owner, self.clock.now(), LEASE)
            assert lease is not None
            self._owned[worker.name.partition(":")[0]] = worker, lease
            await worker.recall()
            await worker.recover(lease)

    def drain(self, kind: str, trouble: Trouble | None = None, **meanwhile: Any) -> int | None:
        """Let one worker do its next step, in which its next call meets trouble."""
        outside: Outside = {"koji": self.koji, "amplitude": self.amplitude}.get(kind, self.subscriber)
        outside.trouble = trouble or Trouble()
        outside.meanwhile = meanwhile.get("meanwhile")
        try:
            return self.run(self._drain(kind))
        except Killed:
            self.run(self.take_over())
        except Conflict as error:
            if error.reason != "lease_lost":
                raise
        finally:
            outside.trouble, outside.meanwhile = Trouble(), None
        return 0

    async def _drain(self, kind: str) -> int | None:
        worker, lease = self._owned[kind]
        left = await worker.drain(lease)
        if isinstance(worker, TaskWorker):
            for ended in await asyncio.gather(*worker._busy.values(), return_exceptions=True):
                if isinstance(ended, Killed):
                    raise ended
        return left

    def call(self, operation: str, **fields: Any) -> Any:
        """Return the answer of an operation; None when it cannot be done now."""
        return self.run(self.called(operation, **fields))

    async def called(self, operation: str, **fields: Any) -> Any:
        op = BY_NAME[operation]
        if "wait_seconds" in op.input.model_fields:
            fields["wait_seconds"] = 0
        payload = op.input.model_validate(fields)
        try:
            return (await execute(self.ctx, op, payload, caller=OURSELVES, by_name=BY_NAME)).output
        except (UpstreamError, Conflict, NotFound):
            return None

    def tell(self, interview_id: str, **fields: Any) -> None:
        self.run(self.told(interview_id, **fields))

    async def told(self, interview_id: str, **fields: Any) -> None:
        """Store a webhook, as the receiver does before it acknowledges."""
        body = json.dumps({"interview_id": interview_id, **fields})
        await self.ledger.inbox.accept(a_webhook(interview_id, body=body, received_at=self.clock.now()))
        self.acknowledged.add(interview_id)

    def ask(self, question: Callable[..., T], *rest: Any) -> T:
        """Return the answer of a function over a database connection."""
        return self.run(self.ledger.db.read(lambda c: question(c, *rest)))

    def come_to_rest(self) -> None:
        """Let time pass without trouble until nothing is open. Raises AssertionError for what never ends."""
        kinds = ("intake", "runs", "launches", "erasure", "koji", "amplitude", "hooks", "upkeep")
        for number in range(26):
            for kind in kinds:
                for _step in range(200):
                    if self.drain(kind) != 0:
                        break
            if not (left := self.ask(truth.open_work)):
                return
            for launch_id in self.ask(_paused):  # as a person does once the cause is mended
                self.call("resume_launch", launch_id=launch_id)
            self.clock.advance(min(61 * 2**number, 4 * 86_400))  # an analysis may take days
        raise AssertionError(f"still open: {left}")

    def close(self) -> None:
        self.run(self.ledger.close())
        self._stack.close()


def _paused(c: DbConnection) -> list[str]:
    return list(c.execute(select(launch.c.id).where(launch.c.status == "paused")).scalars())
