"""Serve a small world of letters, operations that do next to nothing, by the real HTTP surface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import httpx
from pydantic import Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from connector.context import Context
from connector.domain.access import AuditEntry, Claim
from connector.domain.lease import ConnectionPause
from connector.errors import LedgerUnavailable, NotFound
from connector.http.auth import Gate, token_digest
from connector.http.middleware import Boundary
from connector.http.problem import on_http_exception
from connector.http.routes import ENDPOINTS, routes
from connector.security.caller import OURSELVES, Caller
from connector.service.execution.operation import Effect, EffectInput, Input, ListInput, Output, WaitInput
from tests.support.toys import toy

TOKEN = "a-token-of-the-tests"
OTHER_TOKEN = "another-token-of-the-tests"
URL = "https://connector.example.com"
SECRET_WORDS = "what-somebody-said"
DAY = 86_400_000


@dataclass
class Entries:
    """The audit log, in memory."""

    entries: list[AuditEntry] = field(default_factory=list)

    async def begin(self, entry: AuditEntry) -> int:
        self.entries.append(entry)
        return len(self.entries)

    async def refuse(self, entry: AuditEntry, outcome: str) -> None:
        self.entries.append(replace(entry, outcome=outcome, ended_at=entry.at))

    async def end(self, number: int, outcome: str, touched: dict[str, str], now: int) -> None:
        self.entries[number - 1] = replace(
            self.entries[number - 1], outcome=outcome, touched=touched, ended_at=now
        )


@dataclass
class Answers:
    """Idempotency of the ledger, in memory: leases of a minute, answers for a week."""

    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    audit: Entries = field(default_factory=Entries)
    broken: bool = False
    hanging: bool = False

    def keyed_hash(self, text: str) -> str:
        return text[::-1]

    async def ping(self) -> None:
        if self.hanging:
            await asyncio.Event().wait()
        if self.broken:
            raise LedgerUnavailable("The ledger cannot be read.")

    @property
    def idempotency(self) -> Answers:
        return self

    @property
    def connection_pauses(self) -> Answers:
        return self

    async def listed(self, connections: Sequence[str]) -> list[ConnectionPause]:
        return []

    async def claim(self, scope: str, key: str, digest: str, now: int) -> Claim:
        row = self.rows.get((scope, key))
        if row is not None and now < row["until"]:
            if row["digest"] != digest:
                return Claim("mismatch")
            if row["status"] is not None:
                return Claim("stored", None, row["status"], row["body"])
            return Claim("running")
        token = f"{now}:{len(self.rows)}"
        row = {"digest": digest, "token": token, "until": now + 60_000, "status": None, "body": None}
        self.rows[scope, key] = row
        return Claim("new", token)

    async def store(self, scope: str, key: str, token: str | None, status: int, body: str, now: int) -> None:
        row = self.rows[scope, key]
        if row["token"] == token:
            row.update(status=status, body=body, until=now + 7 * DAY)

    async def release(self, scope: str, key: str, token: str | None) -> None:
        if self.rows.get((scope, key), {}).get("token") == token:
            del self.rows[scope, key]


@dataclass
class World:
    """The state that the small operations of this file change."""

    answers: Answers = field(default_factory=Answers)
    now: int = 1_795_000_000_000
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[str] = field(default_factory=list)
    letters: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    failure: BaseException | None = None
    slept: list[float] = field(default_factory=list)

    @property
    def context(self) -> Context:
        settings = SimpleNamespace(
            public_url=URL, connections={"default": None, "shop": None}, connector_allowed_origins=()
        )
        clock = SimpleNamespace(now=lambda: self.now, sleep=self.sleep)
        return cast("Context", WorldContext(settings, clock, self.answers, self.stopping, self))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


@dataclass(frozen=True)
class WorldContext:
    """As much of a context as these operations need."""

    settings: Any
    clock: Any
    ledger: Answers
    stopping: asyncio.Event
    world: World
    caller: Caller = OURSELVES
    since: int | None = None
    request: str | None = None


def world_of(ctx: Context) -> World:
    return cast("World", cast("Any", ctx).world)


class SendInput(WaitInput):
    to: str = Field(description="The addressee.")
    copies: int = Field(1, description="How many.")
    urgent: bool = Field(default=False, description="Whether it hurries.")
    topics: list[str] | None = Field(None, description="About what.")
    sender: dict[str, Any] | None = Field(None, description="Who.")


class Letter(Output):
    letter_id: str
    state: str
    to: str
    topics: list[str] | None

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        return ("get_letter", {"letter_id": self.letter_id}) if self.state == "sending" else None


class LetterInput(Input):
    letter_id: str = Field(description="Which.")


class LetterDetails(Letter):
    history: list[str]


class TouchInput(EffectInput):
    pass


class Touched(Output):
    times: int


class EchoInput(ListInput):
    names: list[str] | None = Field(None, description="Some names.")
    deep: dict[str, Any] | None = Field(None, description="Anything.")
    flag: bool = Field(default=False, description="Yes or no.")


class Echo(Output):
    connection: str
    limit: int
    names: list[str] | None
    deep: dict[str, Any] | None
    flag: bool


async def send_letter(ctx: Context, payload: SendInput) -> Letter:
    world = world_of(ctx)
    letter_id = f"let-{len(world.sent) + 1}"
    world.sent.append(payload.to)
    world.letters[letter_id] = "sending" if payload.urgent is False and payload.copies > 1 else "sent"
    return Letter(letter_id=letter_id, state=world.letters[letter_id], to=payload.to, topics=payload.topics)


async def get_letter(ctx: Context, payload: LetterInput) -> LetterDetails:
    world = world_of(ctx)
    if payload.letter_id not in world.letters:
        raise NotFound("letter_id: there is no such letter.")
    return LetterDetails(
        letter_id=payload.letter_id,
        state=world.letters[payload.letter_id],
        to=f"{payload.connection}@example.com",
        topics=None,
        history=["written"],
    )


async def touch(ctx: Context, payload: TouchInput) -> Touched:
    world = world_of(ctx)
    world.sent.append(payload.connection)
    world.begun.set()
    if world.failure is not None:
        raise world.failure
    await world.gate.wait()
    return Touched(times=len(world.sent))


async def echo(ctx: Context, payload: EchoInput) -> Echo:
    failure = world_of(ctx).failure
    if failure is not None:
        raise failure
    return Echo.model_validate(payload.model_dump())


OPERATIONS = (
    toy(send_letter, input=SendInput, output=Letter, effect=Effect.SEND),
    toy(get_letter, input=LetterInput, output=LetterDetails, effect=Effect.READ),
    toy(touch, input=TouchInput, output=Touched, effect=Effect.WRITE),
    toy(echo, input=EchoInput, output=Echo, effect=Effect.READ),
)


@asynccontextmanager
async def serve(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client without a token for the whole HTTP surface, in this process."""
    tokens = {"token": token_digest(TOKEN), "other": token_digest(OTHER_TOKEN)}
    app = Starlette(
        routes=routes(
            OPERATIONS,
            ENDPOINTS,
            context=lambda: world.context,
            gate=Gate(tokens, lambda: world.context),
        ),
        middleware=[Middleware(Boundary)],
        exception_handlers={HTTPException: on_http_exception},
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
        yield client


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "message", "errors", "request_id"} <= set(body)
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"/docs#{code}"
    assert body["title"]
    assert body["detail"] == body["message"]
    assert 0 < len(body["detail"]) <= 250
    assert body["request_id"] == response.headers["x-request-id"]
    for error in body["errors"]:
        assert set(error) == {"detail", "pointer"}
    return body
