"""A connector step by step: the real ledger, workers and operations; only the services outside are stand-ins.

A process may die in the middle of a call, or oversleep so that another one owns its lanes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, TypeVar, cast

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection as DbConnection
from sqlalchemy import select

from connector.app import all_workers
from connector.context import Context
from connector.domain.lease import Lease
from connector.domain.results.sync import InboundWebhook
from connector.errors import Conflict, NotFound, UpstreamError
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
from tests.support.outside import Amplitude, Killed, Koji, Outside, Subscriber, Trouble

T = TypeVar("T")
LEASE = 30_000
BY_NAME = {op.name: op for op in OPERATIONS}
SETTINGS = Connection(
    koji_api_key=SecretStr("koji-key"),
    amplitude_api_key=SecretStr("amplitude-key"),
    koji_project_id="ours",
    connector_null_email_is_anonymous=True,
    connector_max_credits_per_day=100_000,
)


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
        patched.setattr(hooks, "TargetClient", lambda *_, **__: self.subscriber)
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
