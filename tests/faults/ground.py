"""Servers that may be killed, the stand-ins, and what was acknowledged and counted."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from connector.sandbox import Sandbox, SandboxOptions, create_sandbox
from tests.support.harness import message, serving, sign
from tests.support.processes import HEADERS, Process

SHORT_LEASE = 1_000
REAL_LEASE = 30_000
OPTIONS = SandboxOptions(
    koji_rate_limit_per_minute=None,
    throttle_events_per_second=None,
    analysis_seconds=0.0,
    latency_seconds=0.01,
    webhook=None,
)


class Ground:
    """The stand-ins, what was acknowledged, and how often each event reached Amplitude."""

    def __init__(self, folder: Path, sandbox: Sandbox, url: str, client: httpx.AsyncClient) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.url = url
        self.client = client
        self.acknowledged: set[str] = set()
        self.sends: Counter[str] = Counter()
        self._waiting: list[str] = []
        self._made = 0
        accept = sandbox.amplitude.store.accept

        def counted(events: Sequence[Mapping[str, Any]], now: float) -> None:
            self.sends.update(str(event["insert_id"]) for event in events if "insert_id" in event)
            accept(events, now)

        sandbox.amplitude.store.accept = counted  # type: ignore[method-assign]  # to count what deduplication hides

    def _next(self) -> str:
        """Return the interview of the next webhook: one that was not acknowledged, as Koji would, or a new one."""
        if self._waiting:
            return self._waiting.pop()
        self._made += 1
        interview_id = f"int-{self._made:05}"
        if self._made % 3 == 0:
            interview = self.sandbox.koji.store.add(
                interview_id=interview_id, email=f"person-{self._made % 50:03}@example.com"
            )
            self.sandbox.koji.finish(interview, analysis_seconds=0.0)
        return interview_id

    async def tell(self, server: Process) -> None:
        """Send one webhook; one in three says nothing but the id."""
        interview_id = self._next()
        number = int(interview_id[-5:])
        body = json.dumps(
            {"interview_id": interview_id} if number % 3 == 0 else message(interview_id, number % 50)
        ).encode()
        try:
            answer: httpx.Response | None = await self.client.post(
                f"{server.url}/webhooks/koji", content=body, headers=sign(body)
            )
        except httpx.TransportError:
            answer = None
        if answer is None or answer.status_code == 503:
            self._waiting.append(interview_id)
            await asyncio.sleep(0.01)
            return
        assert answer.json()["status"] == "accepted"
        self.acknowledged.add(interview_id)

    async def load(self, server: Process, over: asyncio.Event, callers: int = 8) -> None:
        async def call() -> None:
            while not over.is_set():
                await self.tell(server)

        await asyncio.gather(*(call() for _ in range(callers)))

    def counted(self) -> Counter[str]:
        """Return how often each interview counts in Amplitude."""
        events = self.sandbox.amplitude.store.find(event_type="koji.interview_completed")
        return Counter(str(event.body["event_properties"]["interview_id"]) for event in events)

    async def everything_arrived(self, seconds: float) -> None:
        """Wait for all that was acknowledged. Raises AssertionError after so long without anything new."""
        counted, last = self.counted().keys(), time.monotonic()
        while missing := len(self.acknowledged - counted):
            assert time.monotonic() < last + seconds, f"{missing} did not arrive in {seconds} s"
            await asyncio.sleep(0.02)
            before, counted = len(counted), self.counted().keys()
            if len(counted) > before:
                last = time.monotonic()


@asynccontextmanager
async def ground(folder: Path) -> AsyncIterator[Ground]:
    app = create_sandbox(OPTIONS)
    limits = httpx.Limits(max_connections=50)
    async with (
        app.router.lifespan_context(app),
        serving(app) as url,
        httpx.AsyncClient(
            headers=HEADERS, verify=False, trust_env=False, limits=limits, timeout=20
        ) as client,
    ):
        yield Ground(folder, app.state.sandbox, url, client)
