"""Who may call, what is answered where: the contract's section on HTTP, sentence by sentence."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import httpx
import pytest

from connector import __version__
from tests.support.toy_server import OPERATIONS, TOKEN, World, assert_problem, serve

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


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class TestCredentials:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": f"Bearer {TOKEN}"},
            {"authorization": f"bearer   {TOKEN}"},
            {"X-API-Key": TOKEN},
            {"Authorization": basic("anybody", TOKEN)},
            {"Authorization": basic("", TOKEN)},
            {"Authorization": "Bearer of-a-proxy", "X-API-Key": TOKEN},
        ],
    )
    async def test_the_token_in_three_places(
        self, anyone: httpx.AsyncClient, headers: dict[str, str]
    ) -> None:
        assert (await anyone.get("/actions/echo", headers=headers)).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": "Bearer"},
            {"Authorization": TOKEN},
            {"Authorization": f"Digest {TOKEN}"},
            {"Authorization": "Basic ***"},
            {"Authorization": basic(TOKEN, "")},
            {"Authorization": basic(TOKEN, "wrong")},
            {"X-API-Key": ""},
            {"X-API-Key": "wrong"},
        ],
    )
    @pytest.mark.parametrize("path", ["/actions/echo", "/actions/no_such_operation", "/me"])
    async def test_anything_else_is_401(
        self, anyone: httpx.AsyncClient, path: str, headers: dict[str, str]
    ) -> None:
        response = await anyone.get(path, headers=headers)
        assert_problem(response, 401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in response.text

    async def test_not_in_the_address(self, anyone: httpx.AsyncClient) -> None:
        assert (await anyone.get(f"/actions/echo?token={TOKEN}")).status_code == 401

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs"])
    async def test_open_without_a_token(self, anyone: httpx.AsyncClient, path: str) -> None:
        assert (await anyone.get(path)).status_code == 200


class TestRoutes:
    async def test_read_operations_answer_get_with_a_query_string(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/actions/echo?limit=7&names=a&names=b&flag=true&deep__x=1&connection=shop")
        assert response.json() == {
            "connection": "shop",
            "limit": 7,
            "names": ["a", "b"],
            "deep": {"x": "1"},
            "flag": True,
        }

    async def test_a_query_string_is_as_strict_and_as_forgiving_as_a_body(
        self, http: httpx.AsyncClient
    ) -> None:
        assert_problem(await http.get("/actions/echo?limt=7"), 422, "invalid_input")
        assert (await http.get("/actions/echo?limit=&names=")).json()["limit"] == 50

    async def test_what_changes_something_does_not_answer_get(
        self, http: httpx.AsyncClient, world: World
    ) -> None:
        response = await http.get("/actions/touch")
        assert_problem(response, 405, "method_not_allowed")
        assert response.headers["allow"] == "POST"
        assert world.sent == []

    @pytest.mark.parametrize(
        ("method", "path"), [("PUT", "/actions/echo"), ("POST", "/me"), ("DELETE", "/docs")]
    )
    async def test_other_methods(self, http: httpx.AsyncClient, method: str, path: str) -> None:
        response = await http.request(method, path)
        assert_problem(response, 405, "method_not_allowed")
        assert "GET" in response.headers["allow"]

    async def test_a_query_string_beside_a_body_counts(self, http: httpx.AsyncClient, world: World) -> None:
        response = await http.post("/actions/echo?connection=shop", json={"limit": 1})
        assert response.json()["connection"] == "shop"
        assert_problem(await http.post("/actions/touch?dry_run=true", json={}), 422, "invalid_input")
        assert world.sent == []

    async def test_a_field_in_both_is_refused(self, http: httpx.AsyncClient) -> None:
        problem = assert_problem(
            await http.post("/actions/echo?limit=1", json={"limit": 2}), 422, "invalid_input"
        )
        assert problem["errors"][0]["pointer"] == "/limit"

    async def test_unknown_operations_are_404_with_close_names(self, http: httpx.AsyncClient) -> None:
        problem = assert_problem(await http.post("/actions/get-leter", json={}), 404, "unknown_operation")
        assert "get_letter" in problem["detail"]
        assert_problem(await http.post("/actions/zzz", json={}), 404, "unknown_operation")

    @pytest.mark.parametrize("path", ["/nothing", "/actions", "/actions/echo/more"])
    async def test_unknown_addresses_are_404(self, http: httpx.AsyncClient, path: str) -> None:
        assert_problem(await http.get(path), 404, "not_found")

    async def test_an_unknown_connection_is_404_and_names_those_there_are(
        self, http: httpx.AsyncClient
    ) -> None:
        problem = assert_problem(await http.get("/actions/echo?connection=nope"), 404, "unknown_connection")
        assert "default, shop" in problem["detail"]
        assert problem["errors"][0]["pointer"] == "/connection"

    async def test_me(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/me")).json() == {
            "account_name": "koji-amplitude at connector.example.com",
            "connections": ["default", "shop"],
            "scopes": ["read", "write", "send", "erase"],
            "version": __version__,
        }

    async def test_every_operation_is_in_both_descriptions(self, anyone: httpx.AsyncClient) -> None:
        document = (await anyone.get("/openapi.json")).json()
        page = await anyone.get("/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith("default-src 'none';")
        for op in OPERATIONS:
            assert document["paths"][f"/actions/{op.name}"]["post"]["operationId"] == op.name
            assert f"/actions/{op.name}" in page.text

    async def test_every_answer_has_an_id_of_its_own(self, anyone: httpx.AsyncClient) -> None:
        ids = {(await anyone.get("/healthz")).headers["x-request-id"] for _ in range(3)}
        assert len(ids) == 3


class TestHealth:
    async def test_healthy(self, anyone: httpx.AsyncClient) -> None:
        assert (await anyone.get("/healthz")).json() == {"status": "ok"}
        assert (await anyone.get("/readyz")).json() == {"status": "ready"}

    async def test_only_a_token_is_shown_pauses(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/readyz")).json() == {"status": "ready", "pauses": []}
        wrong = await http.get("/readyz", headers={"Authorization": "Bearer wrong"})
        assert (wrong.status_code, wrong.json()) == (200, {"status": "ready"})

    async def test_stopping(self, http: httpx.AsyncClient, world: World) -> None:
        world.stopping.set()
        response = await http.get("/readyz")
        assert_problem(response, 503, "stopping")
        assert int(response.headers["retry-after"]) > 0
        assert (await http.get("/healthz")).status_code == 200
        assert_problem(await http.post("/actions/touch"), 503, "stopping")
        assert world.sent == []

    async def test_a_store_that_cannot_be_read(self, anyone: httpx.AsyncClient, world: World) -> None:
        world.answers.broken = True
        assert_problem(await anyone.get("/readyz"), 503, "store_unavailable")
        assert (await anyone.get("/healthz")).status_code == 200

    async def test_a_store_that_does_not_answer(
        self, anyone: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("connector.http.health.PING_SECONDS", 0)
        world.answers.hanging = True
        assert_problem(await anyone.get("/readyz"), 503, "store_unavailable")
