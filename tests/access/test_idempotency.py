"""One key, one effect; and what is not finished says where its end can be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from connector.errors import UpstreamUnavailable
from tests.support.toy_server import DAY, OTHER_TOKEN, TOKEN, URL, SendInput, World, assert_problem, serve

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


class TestLateEnds:
    async def test_finished_is_200(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/actions/send_letter", json={"to": "a"})
        assert response.status_code == 200
        assert "status_url" not in response.json()

    async def test_unfinished_is_202_with_the_same_body_and_where_it_ends(
        self, http: httpx.AsyncClient, world: World
    ) -> None:
        response = await http.post("/actions/send_letter", json={"to": "a", "copies": 2})
        assert response.status_code == 202
        body = response.json()
        assert body == {
            "letter_id": "let-1",
            "state": "sending",
            "to": "a",
            "topics": None,
            "status_url": f"{URL}/actions/get_letter?letter_id=let-1",
        }
        world.letters["let-1"] = "sent"
        told = await http.get(body["status_url"])
        assert (told.status_code, told.json()["state"]) == (200, "sent")

    async def test_the_address_keeps_the_connection(self, http: httpx.AsyncClient) -> None:
        response = await http.post(
            "/actions/send_letter", json={"to": "a", "copies": 2, "connection": "shop"}
        )
        told = await http.get(response.json()["status_url"])
        assert told.json()["to"] == "shop@example.com"

    async def test_a_read_is_200_whatever_it_tells(self, http: httpx.AsyncClient, world: World) -> None:
        world.letters["let-9"] = "sending"
        response = await http.get("/actions/get_letter?letter_id=let-9")
        assert response.status_code == 200
        assert response.json()["state"] == "sending"


KEY = {"Idempotency-Key": "k-1"}


class TestIdempotency:
    async def send(
        self, http: httpx.AsyncClient, headers: dict[str, str] = KEY, **values: Any
    ) -> httpx.Response:
        return await http.post("/actions/send_letter", json={"to": "a", **values}, headers=headers)

    async def test_the_first_answer_is_repeated(self, http: httpx.AsyncClient, world: World) -> None:
        first = await self.send(http)
        again = await self.send(http)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert (again.status_code, again.text) == (first.status_code, first.text)
        assert world.sent == ["a"]

    async def test_header_and_field_are_one(self, http: httpx.AsyncClient, world: World) -> None:
        await self.send(http)
        again = await self.send(http, {}, idempotency_key="k-1")
        quoted = await self.send(http, {"Idempotency-Key": '"k-1"'}, idempotency_key=" k-1 ")
        assert again.headers["idempotency-replayed"] == quoted.headers["idempotency-replayed"] == "true"
        assert world.sent == ["a"]

    async def test_both_and_different_is_422(self, http: httpx.AsyncClient, world: World) -> None:
        response = await self.send(http, idempotency_key="k-2")
        problem = assert_problem(response, 422, "invalid_input")
        assert problem["errors"][0]["pointer"] == "/idempotency_key"
        assert world.sent == []

    @pytest.mark.parametrize("key", ["", '""', "  "])
    async def test_an_empty_key_is_none(self, http: httpx.AsyncClient, world: World, key: str) -> None:
        await self.send(http, {"Idempotency-Key": key})
        await self.send(http, {"Idempotency-Key": key})
        assert world.sent == ["a", "a"]

    async def test_a_key_that_is_too_long_is_422(self, http: httpx.AsyncClient) -> None:
        assert_problem(await self.send(http, {"Idempotency-Key": "k" * 256}), 422, "invalid_input")

    async def test_another_body_is_422(self, http: httpx.AsyncClient, world: World) -> None:
        await self.send(http)
        assert_problem(await self.send(http, to="b"), 422, "idempotency_mismatch")
        assert world.sent == ["a"]

    async def test_the_key_and_how_long_to_wait_are_not_compared(
        self, http: httpx.AsyncClient, world: World
    ) -> None:
        await self.send(http, wait_seconds=3)
        again = await self.send(http, wait_seconds="20", copies="1", topics=[])
        assert again.headers["idempotency-replayed"] == "true"
        assert world.sent == ["a"]

    async def test_scoped_to_credential_operation_and_connection(
        self, http: httpx.AsyncClient, world: World
    ) -> None:
        await self.send(http)
        await self.send(http, connection="shop")
        await self.send(http, {**KEY, "Authorization": f"Bearer {OTHER_TOKEN}"})
        await http.post("/actions/touch", headers=KEY)
        assert world.sent == ["a", "a", "a", "default"]

    async def test_one_still_running_is_409(self, http: httpx.AsyncClient, world: World) -> None:
        world.gate.clear()
        first = asyncio.create_task(http.post("/actions/touch", headers=KEY))
        await world.begun.wait()
        response = await http.post("/actions/touch", headers=KEY)
        assert_problem(response, 409, "idempotency_running")
        assert int(response.headers["retry-after"]) > 0
        world.gate.set()
        assert (await first).json() == {"times": 1}

    async def test_a_lease_ends_after_a_minute(self, http: httpx.AsyncClient, world: World) -> None:
        world.gate.clear()
        abandoned = asyncio.create_task(http.post("/actions/touch", headers=KEY))
        await world.begun.wait()
        world.now += 60_000
        world.begun.clear()
        second = asyncio.create_task(http.post("/actions/touch", headers=KEY))
        await world.begun.wait()
        world.gate.set()
        assert (await second).json() == {"times": 2}
        await abandoned

    async def test_an_answer_is_kept_for_a_week(self, http: httpx.AsyncClient, world: World) -> None:
        await self.send(http)
        world.now += 7 * DAY - 1
        assert (await self.send(http)).headers["idempotency-replayed"] == "true"
        world.now += 1
        assert "idempotency-replayed" not in (await self.send(http)).headers

    @pytest.mark.parametrize("failure", [UpstreamUnavailable("Koji rests."), RuntimeError("a fault")])
    async def test_an_error_frees_the_key(
        self, http: httpx.AsyncClient, world: World, failure: Exception
    ) -> None:
        world.failure = failure
        assert (await http.post("/actions/touch", headers=KEY)).status_code >= 500
        assert world.answers.rows == {}
        world.failure = None
        assert (await http.post("/actions/touch", headers=KEY)).status_code == 200

    async def test_a_caller_who_leaves_frees_the_key(self, http: httpx.AsyncClient, world: World) -> None:
        world.gate.clear()
        caller = asyncio.create_task(http.post("/actions/touch", headers=KEY))
        await world.begun.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert world.answers.rows == {}

    async def test_a_202_is_repeated_with_the_present_state(
        self, http: httpx.AsyncClient, world: World
    ) -> None:
        first = await self.send(http, copies=2, connection="shop", topics="x")
        again = await self.send(http, copies=2, connection="shop", topics="x")
        assert (first.status_code, again.status_code) == (202, 202)
        assert again.json()["status_url"] == first.json()["status_url"]
        world.letters["let-1"] = "sent"
        ended = await self.send(http, copies=2, connection="shop", topics="x")
        assert ended.status_code == 200
        assert ended.headers["idempotency-replayed"] == "true"
        assert ended.json() == {
            "letter_id": "let-1",
            "state": "sent",
            "to": "shop@example.com",
            "topics": None,
        }
        assert world.sent == ["a"]

    async def test_what_it_began_is_gone(self, http: httpx.AsyncClient, world: World) -> None:
        await self.send(http, copies=2)
        world.letters.clear()
        assert_problem(await self.send(http, copies=2), 404, "not_found")

    async def test_on_a_read_the_header_means_nothing_and_the_field_is_unknown(
        self, http: httpx.AsyncClient, world: World
    ) -> None:
        for _ in range(2):
            response = await http.post("/actions/echo", headers=KEY)
            assert response.status_code == 200
            assert "idempotency-replayed" not in response.headers
        assert world.answers.rows == {}
        response = await http.post("/actions/echo", json={"idempotency_key": "k-1"})
        assert_problem(response, 422, "invalid_input")

    def test_the_digest_tells_requests_apart_and_not_their_spelling(self) -> None:
        def of(**values: Any) -> str:
            digest: str = SendInput.model_validate({"to": "a", **values}).digest()
            return digest

        assert of() == of(to=" a", copies="1", wait_seconds=2, idempotency_key="k")
        assert of() != of(copies=2)
        assert of() != of(topics=["x"])
