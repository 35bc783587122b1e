"""The real connector and the real stand-ins in one event loop, on a clock that a test can move."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from starlette.applications import Starlette
from uvicorn.server import ServerState

from connector.app import create_app
from connector.context import Context
from connector.ledger.db.dialect import is_sqlite
from connector.sandbox import Sandbox, SandboxOptions, create_sandbox
from connector.settings.model import Settings
from connector.settings.sources import load
from mcp_server.transports.http import mcp_mount
from tests.support.sqlite import empty_ledger

T = TypeVar("T")
TOKEN = "a-token-of-the-tests"
SECRET = "sandbox-webhook-secret"
DAY = 86_400
SINCE = 1_700_000_000_000
QUICK = SandboxOptions(koji_rate_limit_per_minute=None, throttle_events_per_second=None, analysis_seconds=0.0)


class MovableClock:
    """Real time plus what a test adds; a sleeper wakes when the clock moves past its hour."""

    def __init__(self) -> None:
        self._ahead = self._jumped = 0
        self._moved = asyncio.Event()

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead + self._jumped

    def elapsed(self) -> int:
        return self.now() - self._jumped - SINCE  # another origin, so that a mix of the two clocks shows

    def jump(self, seconds: float) -> None:
        """Let the wall clock jump, while no time passes."""
        self._jumped += int(seconds * 1000)

    def seconds(self) -> float:
        return self.now() / 1000

    async def sleep(self, seconds: float) -> None:
        until = self.now() + seconds * 1000
        while (left := until - self.now()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left / 1000):
                    await self._moved.wait()

    def move(self, seconds: float) -> None:
        self._ahead += int(seconds * 1000)
        self._moved.set()
        self._moved = asyncio.Event()


class StandingClock(MovableClock):
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self._began = super().now()

    def now(self) -> int:
        return self._began + self._ahead + self._jumped

    async def sleep(self, seconds: float) -> None:
        until = self.now() + seconds * 1000
        while self.now() < until:
            await self._moved.wait()


class HurriedClock(MovableClock):
    """No sleeper waits: a sleep moves the clock instead."""

    async def sleep(self, seconds: float) -> None:
        self._ahead += int(seconds * 1000)
        await asyncio.sleep(0)


def sign(
    body: bytes,
    secret: str = SECRET,
    *,
    scheme: str = "hex",
    header: str = "X-Koji-Signature",
    at: float | None = None,
    webhook_id: str = "msg_1",
) -> dict[str, str]:
    """Return the headers that sign a body in one of the schemes of interface 4.1; `at` is epoch seconds."""
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    stamp = str(int(time.time() if at is None else at))

    def mac(before: str = "") -> bytes:
        return hmac.new(key, before.encode() + body, hashlib.sha256).digest()

    match scheme:
        case "hex":
            return {header: mac().hex()}
        case "sha256":
            return {header: f"sha256={mac().hex()}"}
        case "base64":
            return {header: base64.b64encode(mac()).decode()}
        case "timestamped":
            return {header: f"t={stamp},v1={mac(f'{stamp}.').hex()}"}
        case "standard-webhooks":
            signature = base64.b64encode(mac(f"{webhook_id}.{stamp}.")).decode()
            return {
                "webhook-id": webhook_id,
                "webhook-timestamp": stamp,
                "webhook-signature": f"v1,{signature}",
            }
    raise ValueError(scheme)


def message(interview_id: str, number: int = 1, /, **fields: Any) -> dict[str, Any]:
    """Return a webhook body of an interview that is ready to sync; a field of None is left out."""
    whole = {
        "event": "interview.analysis_ready",
        "interview_id": interview_id,
        "respondent_email": f"person-{number:03}@example.com",
        "themes": ["pricing confusion", "slow import", "missing export"],
        "sentiment": "Negative",
        "quality_score": 4.2,
        "completed_at": "2026-11-20T10:00:00Z",
        "transcript_url": f"https://www.koji.so/interviews/{interview_id}",
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not None}


async def until(condition: Callable[[], Awaitable[T]], seconds: float = 60.0) -> T:
    """Return the first true result of a condition. Raises AssertionError with the last one after a while.

    The longer it waits, the less often it looks: what it looks at works in the same process.
    """
    began = time.monotonic()
    while not (result := await condition()):
        waited = time.monotonic() - began
        assert waited < seconds, f"still {result!r} after {seconds} s"
        await asyncio.sleep(min(0.004 + waited / 20, 0.1))
    return result


@asynccontextmanager
async def serving(app: Any, config: uvicorn.Config | None = None) -> AsyncIterator[str]:
    """Serve an application on a loopback port of this event loop, as `config` says, and yield its URL."""
    config = config or uvicorn.Config(
        app, log_config=None, log_level="critical", access_log=False, lifespan="off"
    )
    config.load()
    state = ServerState()

    def protocol() -> asyncio.Protocol:
        made: asyncio.Protocol = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]  # asyncio's name for any protocol class
        return made

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        for connection in list(state.connections):  # those whose request was cancelled
            connection.transport.abort()
        await asyncio.sleep(0)


@dataclass
class World:
    """One connector beside one sandbox."""

    folder: Path
    clock: MovableClock
    sandbox: Sandbox
    sandbox_url: str
    toml: str
    environment: dict[str, str]
    client: httpx.AsyncClient = field(init=False)
    app: Starlette = field(init=False)
    settings: Settings = field(init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def context(self) -> Context:
        context: Context = self.app.state.context
        return context

    async def start(self, *, workers: bool = True, toml: str | None = None, **env: str) -> None:
        """Start the connector on the world's ledger."""
        self.toml = self.toml if toml is None else toml
        self.environment |= env
        self.settings = settings_of(self.folder, self.sandbox_url, self.toml, self.environment)
        if is_sqlite(self.settings.database_url):
            empty_ledger(self.settings.database_url)
        self.app = create_app(self.settings, workers=workers, clock=self.clock, mounts=[mcp_mount])
        await self._stack.enter_async_context(self.app.router.lifespan_context(self.app))
        self.client = await self._stack.enter_async_context(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
                base_url="http://connector",
                verify=False,
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
        )

    async def stop(self) -> None:
        await self._stack.aclose()

    async def restart(self, *, workers: bool = True, toml: str | None = None, **env: str) -> None:
        await self.stop()
        await self.start(workers=workers, toml=toml, **env)

    async def reconfigure(self, settings: Mapping[str, str]) -> None:
        """Restart with other settings; an empty value takes one away."""
        self.environment |= settings
        await self.restart()

    def move(self, seconds: float) -> None:
        """Move the clock and wake every worker."""
        self.clock.move(seconds)
        self.context.wake()

    async def send(
        self,
        body: Any,
        *,
        path: str = "/webhooks/koji",
        secret: str = SECRET,
        scheme: str = "hex",
        header: str = "X-Koji-Signature",
        at: float | None = None,
        webhook_id: str = "msg_1",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a signed webhook as Koji would."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        at = self.clock.seconds() if at is None else at
        signed = sign(raw, secret, scheme=scheme, header=header, at=at, webhook_id=webhook_id)
        return await self.client.post(path, content=raw, headers={**signed, **(headers or {})})

    async def deliver(self, *messages: Any, path: str = "/webhooks/koji") -> None:
        """Send signed webhooks that must be accepted."""
        for each in messages:
            answer = await self.send(each, path=path)
            assert answer.json().get("status") == "accepted", answer.text

    async def call(self, operation: str, **fields: Any) -> httpx.Response:
        return await self.client.post(f"/actions/{operation}", json=fields)

    async def get(self, operation: str, **fields: Any) -> Any:
        """Return the answer of an operation that must succeed."""
        answer = await self.call(operation, **fields)
        assert answer.status_code in {200, 202}, answer.text
        return answer.json()

    async def ended(self, *interview_ids: str, connection: str = "default", seconds: float = 20.0) -> Any:
        """Wait until interviews are no longer pending; return the receipt of the last."""
        receipt: Any = None
        for interview_id in interview_ids:

            async def looked(wanted: str = interview_id) -> Any:
                answer = await self.call("get_sync", interview_id=wanted, connection=connection)
                sync = answer.json()
                return sync if answer.status_code == 200 and sync["status"] != "pending" else None

            receipt = await until(looked, seconds)
        return receipt

    async def seen(self, interview_id: str, connection: str = "default", **wanted: Any) -> Any:
        """Wait until an interview's receipt carries these values; return it."""

        async def looked() -> Any:
            answer = await self.call("get_sync", interview_id=interview_id, connection=connection)
            sync = answer.json()
            return sync if answer.status_code == 200 and {**sync, **wanted} == sync else None

        return await until(looked)

    def stored(self, event_type: str | None = None, user_id: str | None = None) -> list[dict[str, Any]]:
        """Return the events that Amplitude's stand-in counted, in order of arrival."""
        events = self.sandbox.amplitude.store.find(event_type=event_type, user_id=user_id)
        return [{**event.as_json(), "sent_properties": event.body.get("user_properties")} for event in events]

    def completed(self) -> list[str]:
        """Return the interview ids whose event Amplitude counted, in order of arrival."""
        events = self.stored("koji.interview_completed")
        return [event["event_properties"]["interview_id"] for event in events]

    def properties(self, user_id: str) -> Mapping[str, Any]:
        """Return a user's present properties."""
        return self.sandbox.amplitude.store.users[user_id].properties

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Return the log of ingestion requests."""
        return list(self.sandbox.amplitude.requests)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """Steer the stand-ins."""
        async with httpx.AsyncClient(base_url=self.sandbox_url, trust_env=False, verify=False) as client:
            answer = await client.request(method, f"/control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def interview(self, interview_id: str, number: int = 1, **fields: Any) -> Any:
        """Create an interview at Koji's stand-in."""
        person = {"email": f"person-{number:03}@example.com"} if not fields.get("anonymous") else {}
        usual = {"interview_id": interview_id, "quality_score": 4.0, "themes": ["slow import"], **person}
        return await self.control("POST", "/koji/interviews", {**usual, **fields})

    async def fault(self, service: str, kind: str, **fields: Any) -> None:
        await self.control("POST", f"/{service}/faults", {"kind": kind, **fields})

    async def hold(self, service: str, route: str | None = None, *, after: int = 0) -> None:
        """Let a stand-in keep requests waiting until `release`, but for the first `after`."""
        if after:
            await self.fault(service, "slow", route=route, times=after)
        await self.fault(service, "slow", route=route, seconds=600, times=None)

    async def held(self, service: str) -> None:
        """Wait until a stand-in keeps a request waiting."""
        queue = getattr(self.sandbox, service).faults

        async def is_held() -> bool:
            return bool(queue.held)

        await until(is_held)

    async def release(self, service: str) -> None:
        """Clear a stand-in's faults; what they keep waiting goes on."""
        await self.control("DELETE", f"/{service}/faults")

    async def idle(self) -> None:
        """Wait until every worker has looked for work again and again, and done what it found.

        A worker clears its wake event before a drain, and clears it again only after that drain.
        """
        bells = [lane.wake for lane in self.app.state.runner._lanes]

        async def looked() -> bool:
            return not any(bell.is_set() for bell in bells)

        for _ in range(6):  # what one worker does may be work for the next
            self.context.wake()
            await until(looked)


def settings_of(folder: Path, sandbox_url: str, toml: str, environment: Mapping[str, str]) -> Settings:
    """Return settings that point at a sandbox; an empty value takes one of them away."""
    (folder / "connector.toml").write_text(toml)
    return load(
        {
            "KOJI_API_KEY": "sandbox-koji-key",
            "KOJI_WEBHOOK_SECRET": SECRET,
            "KOJI_BASE_URL": f"{sandbox_url}/koji",
            "KOJI_RATE_LIMIT_PER_MINUTE": "60000",
            "AMPLITUDE_API_KEY": "sandbox-amplitude-key",
            "AMPLITUDE_SECRET_KEY": "sandbox-amplitude-secret",
            "AMPLITUDE_INGESTION_URL": f"{sandbox_url}/amplitude",
            "AMPLITUDE_REST_URL": f"{sandbox_url}/amplitude",
            "AMPLITUDE_EVENTS_PER_SECOND": "0",
            "DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
            "CONNECTOR_API_TOKEN": TOKEN,
            **environment,
        },
        folder,
    ).settings


@asynccontextmanager
async def open_world(
    folder: Path,
    *,
    options: SandboxOptions = QUICK,
    clock: MovableClock | None = None,
    toml: str = "",
    workers: bool = True,
    **env: str,
) -> AsyncIterator[World]:
    """Open a world: the sandbox on a socket, the connector within reach of its client."""
    clock = clock or MovableClock()
    sandbox_app = create_sandbox(options, now=clock.seconds)
    async with sandbox_app.router.lifespan_context(sandbox_app), serving(sandbox_app) as url:
        world = World(folder, clock, sandbox_app.state.sandbox, url, toml, env)
        await world.start(workers=workers)
        try:
            yield world
        finally:
            await world.stop()
