"""Errors over HTTP are problems that say what to do and give nothing away."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import structlog

from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    Forbidden,
    LedgerUnavailable,
    NotConfigured,
    NotFound,
    OutcomeUnknown,
    UpstreamRejected,
    UpstreamUnavailable,
)
from tests.support.toy_server import SECRET_WORDS, TOKEN, World, assert_problem, serve

pytestmark = pytest.mark.e2e


@pytest.fixture
def world() -> World:
    made = World()
    made.gate.set()
    return made


@pytest.fixture
async def anyone(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(world) as client:
        yield client


@pytest.fixture
async def http(anyone: httpx.AsyncClient) -> httpx.AsyncClient:
    anyone.headers["Authorization"] = f"Bearer {TOKEN}"
    return anyone


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (Forbidden("No."), 403),
            (NotFound("Not there.", code="not_found_in_koji"), 404),
            (NotConfigured("KOJI_API_KEY: set it."), 409),
            (CredentialsRejected("Koji refused KOJI_API_KEY."), 502),
            (UpstreamRejected("Amplitude said no."), 502),
            (OutcomeUnknown("It was cut."), 502),
            (UpstreamUnavailable("Koji rests.", retry_after=17), 503),
            (LedgerUnavailable("The disk is full."), 503),
        ],
    )
    async def test_every_kind_has_its_status(
        self, http: httpx.AsyncClient, world: World, error: ConnectorError, status: int
    ) -> None:
        world.failure = error
        response = await http.post("/actions/echo")
        problem = assert_problem(response, status, error.reason)
        assert problem["detail"] == error.message
        assert "result" not in problem
        expected = {502: None, 503: str(error.retry_after or 5)}.get(status)
        assert response.headers.get("retry-after") == expected

    async def test_a_long_message_is_cut(self, http: httpx.AsyncClient, world: World) -> None:
        world.failure = UpstreamRejected("x" * 1000)
        assert assert_problem(await http.post("/actions/echo"), 502, "upstream_refused")["detail"].endswith(
            "x…"
        )

    async def test_a_result_comes_along(self, http: httpx.AsyncClient, world: World) -> None:
        world.failure = UpstreamRejected("Amplitude said no.", result={"status": "failed", "reason": None})
        problem = assert_problem(await http.post("/actions/echo"), 502, "upstream_refused")
        assert problem["result"] == {"status": "failed", "reason": None}

    async def test_a_fault_of_ours_tells_the_log_where_and_nobody_what(
        self, http: httpx.AsyncClient, world: World
    ) -> None:
        try:
            raise KeyError(SECRET_WORDS)
        except KeyError as cause:
            world.failure = RuntimeError(SECRET_WORDS)
            world.failure.__cause__ = cause
        with structlog.testing.capture_logs() as logs:
            response = await http.post("/actions/echo", json={"names": [SECRET_WORDS]})
        problem = assert_problem(response, 500, "internal_error")
        assert SECRET_WORDS not in response.text
        (line,) = logs
        assert line["request_id"] == problem["request_id"]
        assert (line["exception"], line["causes"]) == ("RuntimeError", ["KeyError"])
        assert any(frame.endswith(" echo") for frame in line["frames"])
        assert SECRET_WORDS not in str(logs)
