from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from connector.sandbox import Sandbox, SandboxOptions, create_sandbox

KOJI = {"Authorization": "Bearer sandbox-koji-key"}
REST = ("sandbox-amplitude-key", "sandbox-amplitude-secret")


class Clock:
    def __init__(self, at: float = 1_795_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class Box:
    client: httpx.AsyncClient
    sandbox: Sandbox
    clock: Clock

    async def send(self, *events: dict[str, Any], path: str = "httpapi", **more: Any) -> httpx.Response:
        route = "/amplitude/2/httpapi" if path == "httpapi" else f"/amplitude/{path}"
        body = {"api_key": "sandbox-amplitude-key", "events": list(events), **more}
        return await self.client.post(route, json=body)

    async def start(self, **body: Any) -> dict[str, Any]:
        answer = await self.client.post("/koji/api/v1/interviews/start", headers=KOJI, json=body)
        assert answer.status_code == 201, answer.text
        data: dict[str, Any] = answer.json()
        return data

    async def complete(self, started: dict[str, Any], **more: Any) -> httpx.Response:
        return await self.client.post(
            "/koji/api/interview/complete",
            headers={**KOJI, "X-Session-Token": started["session_token"]},
            json={"interview_id": started["interview_id"], **more},
        )

    async def read(self, interview_id: str) -> httpx.Response:
        return await self.client.get(f"/koji/api/v1/interviews/{interview_id}", headers=KOJI)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.client.request(method, f"/control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


Opener = Callable[..., AbstractAsyncContextManager[Box]]


@asynccontextmanager
async def open_box(transport: httpx.AsyncBaseTransport | None = None, **options: Any) -> AsyncIterator[Box]:
    clock = Clock()
    app = create_sandbox(SandboxOptions(**options), now=clock, webhook_transport=transport)
    asgi = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=asgi, base_url="http://sandbox") as client,
    ):
        yield Box(client, app.state.sandbox, clock)


@pytest.fixture
def opened() -> Opener:
    return open_box


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    async with open_box() as opened:
        yield opened


def event(**fields: Any) -> dict[str, Any]:
    return {"user_id": "person-001@example.com", "event_type": "Signed Up", **fields}
