"""The application as its server calls it, on either database, and what must be true whatever was sent to it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from connector import log
from connector.cli.startup import secrets_of
from tests.ledger.desk import counts_are_true, totals_are_true
from tests.support.harness import QUICK, SECRET, TOKEN, HurriedClock, World, open_world

T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]
PROBLEM = "application/problem+json"
COHORT_TOKEN = "a-cohort-token-of-the-tests"
PERSON = "canary.person"
"""Begins every address that is sent."""

AUTHORIZED = (b"authorization", f"Bearer {TOKEN}".encode())
KEPT = (
    TOKEN,
    SECRET,
    COHORT_TOKEN,
    PERSON,
    "sandbox-koji-key",
    "sandbox-amplitude-key",
    "sandbox-amplitude-s",
)


class Clock(HurriedClock):
    """Time in which nobody waits, until the workers begin."""

    is_hurried = True

    async def sleep(self, seconds: float) -> None:
        await (super().sleep(seconds) if self.is_hurried else super(HurriedClock, self).sleep(seconds))


class Door:
    """One application without workers, so that nothing but the requests takes time."""

    def __init__(self, world: World, clock: Clock, runner: asyncio.Runner) -> None:
        self.world, self.clock, self._runner, self._log = world, clock, runner, io.StringIO()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: bytes = b"",
        headers: Headers,
        body: Sequence[bytes] = (b"",),
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request of these bytes, which no client tidies up; return status, headers and body."""
        return self._runner.run(self._ask(method, path, query, headers, body))

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request as a client does that keeps cookies."""
        url = f"http://127.0.0.1:8080{path}"
        return self._runner.run(self.world.client.request(method, url, **request))

    def settle(self) -> None:
        """Let the workers do what the requests left to them, and look at what they leave."""

        async def work() -> None:
            self.clock.is_hurried = False
            await self.world.restart(workers=True)
            await self.world.idle()
            await totals_are_true(self.world.context.ledger, self.world.settings.connections)
            await counts_are_true(self.world.context.ledger)

        with self.listening():
            self._runner.run(work())

    @property
    def logged(self) -> str:
        return self._log.getvalue()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Check that meanwhile nothing unforeseen is logged, and no secret or address."""
        before, root = structlog.get_config(), logging.getLogger()
        handlers, level = root.handlers[:], root.level
        log.configure("debug", secrets=secrets_of(self.world.settings))
        (libraries,) = root.handlers
        assert isinstance(libraries, logging.StreamHandler)
        libraries.setStream(self._log)
        factory = structlog.PrintLoggerFactory(self._log)
        structlog.configure(**{**structlog.get_config(), "logger_factory": factory})
        try:
            yield
        finally:
            structlog.configure(**before)
            root.handlers[:] = handlers
            root.setLevel(level)
        logged = self.logged
        self._log.seek(0)
        self._log.truncate()
        wrong = [line for line in logged.splitlines() if json.loads(line)["level"] in ("error", "critical")]
        assert wrong == []
        assert [kept for kept in KEPT if kept in logged] == []

    async def _ask(
        self, method: str, path: str, query: bytes, headers: Headers, body: Sequence[bytes]
    ) -> tuple[int, dict[str, str], bytes]:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8080"), *headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
            "state": {},
        }
        pieces = [
            {"type": "http.request", "body": piece, "more_body": at < len(body) - 1}
            for at, piece in enumerate(body)
        ]
        sent: list[dict[str, Any]] = []

        whole = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if pieces:
                return pieces.pop(0)
            await whole.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                whole.set()

        await self.world.app(scope, receive, send)
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], told, b"".join(one.get("body", b"") for one in sent[1:])


@contextmanager
def open_door(folder: Path, database_url: str) -> Iterator[Door]:
    """Yield a door to an application; settle what was left at the end."""
    clock = Clock()
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        opened = open_world(
            folder,
            clock=clock,
            workers=False,
            AMPLITUDE_COHORT_WEBHOOK_TOKEN=COHORT_TOKEN,
            KOJI_PROJECT_ID=QUICK.koji_project_id,
            CONNECTOR_MAX_CREDITS_PER_DAY="100000",
            CONNECTOR_ENCRYPTION_KEY="a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
            DATABASE_URL=database_url,
        )
        world = runner.run(stack.enter_async_context(opened))
        door = Door(world, clock, runner)
        try:
            yield door
            door.settle()
        finally:
            runner.run(stack.aclose())


def every(examples: int, strategy: SearchStrategy[T], check: Callable[[T], None]) -> None:
    """Check that many made-up values."""

    def checked(value: T) -> None:
        check(value)

    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    limits = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=quiet)
    limits(given(strategy)(checked))()


def assert_an_answer_of_ours(status: int, headers: dict[str, str], body: bytes) -> None:
    """Check that an answer is no fault, and that a refusal is a problem in few words."""
    assert status < 500, (status, body)
    if status >= 400:
        assert headers["content-type"] == PROBLEM
        told = json.loads(body)
        assert told["status"] == status
        assert 0 < len(told["detail"]) <= 250
