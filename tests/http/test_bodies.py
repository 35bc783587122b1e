"""The same request in the formats of many tools, and a named refusal for a body that cannot be read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from connector.http.body import MAX_BODY_BYTES
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


MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="to"\r\n\r\na\r\n'
    b'--b\r\nContent-Disposition: form-data; name="topics"\r\n\r\nx\ny\r\n--b--\r\n'
)


class TestBodies:
    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/json", b'{"to": "a", "copies": 1, "urgent": true, "topics": ["x", "y"]}'),
            ("application/json", b'[{"to": "a", "copies": "1", "urgent": "true", "topics": "x, y"}]'),
            (
                "application/json; charset=utf-8",
                b'{"to": "a", "urgent": "TRUE", "topics": "x\\ny", "copies": ""}',
            ),
            ("application/x-www-form-urlencoded", b"to=a&copies=+1+&urgent=1&topics=x&topics=y"),
            ("application/x-www-form-urlencoded", b"to=a&copies=&urgent=yes&topics[]=x&topics[]=y&sender="),
            (
                "multipart/form-data; boundary=b",
                MULTIPART,
            ),
        ],
    )
    async def test_the_same_letter_however_it_is_written(
        self, http: httpx.AsyncClient, content_type: str, body: bytes
    ) -> None:
        response = await http.post(
            "/actions/send_letter", content=body, headers={"Content-Type": content_type}
        )
        assert response.status_code == 200
        assert response.json() == {"letter_id": "let-1", "state": "sent", "to": "a", "topics": ["x", "y"]}

    async def test_without_a_content_type_it_is_json(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/actions/echo", content=b'{"limit": 3}')
        assert "content-type" not in response.request.headers
        assert response.json()["limit"] == 3

    async def test_flat_keys(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/actions/echo", json={"deep__a": 1, "deep__b__c": [2]})
        assert response.json()["deep"] == {"a": 1, "b": {"c": [2]}}

    async def test_no_body_at_all(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/actions/echo")
        assert response.json() == {
            "connection": "default",
            "limit": 50,
            "names": None,
            "deep": None,
            "flag": False,
        }

    async def test_answers_are_compact_json_that_nobody_caches(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/actions/echo", json={"names": ["é"]})
        assert response.text == json.dumps(response.json(), separators=(",", ":"), ensure_ascii=False)
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"

    async def test_unknown_fields_are_refused_by_name(self, http: httpx.AsyncClient, world: World) -> None:
        response = await http.post("/actions/send_letter", json={"to": "a", "copis": SECRET_WORDS, "x": None})
        problem = assert_problem(response, 422, "invalid_input")
        assert {one["pointer"] for one in problem["errors"]} == {"/copis", "/x"}
        assert "copis" in problem["detail"]
        assert "did you mean copies?" in problem["detail"]
        assert SECRET_WORDS not in response.text
        assert world.sent == []

    async def test_wrong_values_are_named_and_not_repeated(self, http: httpx.AsyncClient) -> None:
        body = {"copies": SECRET_WORDS, "urgent": SECRET_WORDS, "wait_seconds": 26, "connection": "No Such"}
        response = await http.post("/actions/send_letter", json=body)
        problem = assert_problem(response, 422, "invalid_input")
        pointers = {one["pointer"] for one in problem["errors"]}
        assert pointers == {"/to", "/copies", "/urgent", "/wait_seconds", "/connection"}
        assert SECRET_WORDS not in response.text

    async def test_many_errors_still_make_a_short_detail(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/actions/echo", json={f"unknown_{i}": 1 for i in range(50)})
        assert len(assert_problem(response, 422, "invalid_input")["errors"]) == 50

    async def test_malformed_json(self, http: httpx.AsyncClient) -> None:
        response = await http.post(
            "/actions/echo", content=b'{"a":', headers={"Content-Type": "application/json"}
        )
        assert_problem(response, 422, "malformed_json")

    async def test_deep_nesting(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/actions/echo", content=b'{"deep":' + b'{"a":' * 99_999)
        assert_problem(response, 422, "nested_too_deep")
        response = await http.post("/actions/echo", content=b'{"deep":' + b"[" * 70 + b"]" * 70 + b"}")
        assert_problem(response, 422, "nested_too_deep")

    @pytest.mark.parametrize(
        "headers",
        [{"Content-Type": "text/xml"}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}],
    )
    async def test_formats_that_are_not_read(self, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        response = await http.post("/actions/echo", content=b"{}", headers=headers)
        assert_problem(response, 415, "unsupported_content_type")

    async def test_a_body_above_20_mib(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/actions/touch", content=b" " * (MAX_BODY_BYTES + 1))
        assert_problem(response, 413, "body_too_large")

    async def test_what_only_reads_takes_a_mebibyte(self, http: httpx.AsyncClient) -> None:
        assert (await http.post("/actions/echo", content=b" " * 2**20)).status_code == 200
        response = await http.post("/actions/echo", content=b" " * (2**20 + 1))
        assert "1 MiB" in assert_problem(response, 413, "body_too_large")["detail"]

    async def test_a_body_of_undeclared_length_is_read_only_to_the_limit(
        self, http: httpx.AsyncClient
    ) -> None:
        handed_out = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal handed_out
            while handed_out < 100:
                handed_out += 1
                yield b" " * 1024 * 1024

        response = await http.post("/actions/touch", content=endless())
        assert_problem(response, 413, "body_too_large")
        assert handed_out == 21
