"""Census's custom destination: its six methods, with the samples of its documentation as facts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.domain.access import Token
from connector.http.auth import token_digest
from connector.service.tokens import new_token
from tests.support.harness import QUICK, TOKEN, World, message, open_world, until
from tests.support.toy_server import assert_problem

pytestmark = pytest.mark.e2e

PATH = "/integrations/census"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id) as world:
        yield world


async def rpc(world: World, method: str, params: Any = None, *, query: str = "", **headers: str) -> Any:
    call = {"jsonrpc": "2.0", "method": method, "params": params or {}, "id": "d33ded26"}
    answer = await world.client.post(PATH + query, json=call, headers=headers)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["jsonrpc"], told["id"]) == ("2.0", "d33ded26")
    assert ("result" in told) != ("error" in told)
    return told.get("result") or told["error"]


def plan(
    *records: Any, of: str = "invitation", operation: str = "upsert", identifier: str = "email"
) -> dict[str, Any]:
    """Return the parameters of sync_batch in the shape of the documentation."""
    names = {name for one in records if isinstance(one, dict) for name in one} | {identifier}
    known = {"email", "user_id", "name", "mode", "interview_id", "themes", "quality_score", "connection"}
    known |= {"respondent_email", "reinvite_after_days", "sentiment", "completed_at", "metadata"}
    schema = {
        name: {"active_identifier": name == identifier, "field": {"field_api_name": name}}
        for name in sorted(names & known)
    }
    sync_plan = {
        "object": {"object_api_name": of, "label": "Any"},
        "operation": operation,
        "sync_run_id": 602,
        "sync_id": 309,
        "schema": schema,
    }
    return {"sync_plan": sync_plan, "records": list(records)}


async def sync(world: World, *records: Any, query: str = "", **how: str) -> list[Any]:
    result = await rpc(world, "sync_batch", plan(*records, **how), query=query)
    found: list[Any] = result["record_results"]
    return found


def started(world: World) -> int:
    return len(world.sandbox.koji.store.interviews)


def person(number: int) -> str:
    return f"person-{number:03}@example.com"


async def a_token(world: World, *scopes: str, only: tuple[str, ...] | None = None) -> str:
    text = new_token()
    made = Token("census", token_digest(text).hex(), scopes, only, world.clock.now())
    assert await world.context.ledger.tokens.create(made)
    return text


class TestPlanning:
    async def test_a_connection_is_tested(self, world: World) -> None:
        assert await rpc(world, "test_connection") == {"success": True}

    async def test_a_wrong_key_is_told(self, world: World) -> None:
        await world.reconfigure({"KOJI_API_KEY": "another-key"})
        told = await rpc(world, "test_connection")
        assert told["success"] is False
        assert "KOJI_API_KEY" in told["error_message"]
        told = await rpc(world, "test_connection", query="?connection=nowhere")
        assert (told["success"], "nowhere" in told["error_message"]) == (False, True)

    async def test_objects_fields_and_operations(self, world: World) -> None:
        objects = (await rpc(world, "list_objects"))["objects"]
        assert [one["object_api_name"] for one in objects] == ["invitation", "interview_sync"]
        for one in objects:
            fields = (await rpc(world, "list_fields", {"object": one}))["fields"]
            keys = {"field_api_name", "label", "identifier", "required", "createable", "updateable"}
            assert all(set(field) == keys | {"type", "array"} for field in fields)
            [identifier] = [field for field in fields if field["identifier"]]
            assert (identifier["required"], identifier["type"], identifier["array"]) == (
                True,
                "string",
                False,
            )
        types = {field["field_api_name"]: (field["type"], field["array"]) for field in fields}
        assert types["themes"] == ("string", True)
        assert (types["quality_score"][0], types["completed_at"][0]) == ("float", "date_time")
        told = [await rpc(world, "supported_operations", {"object": one}) for one in objects]
        assert told == [{"operations": ["upsert", "insert", "mirror"]}, {"operations": ["upsert", "insert"]}]

    async def test_a_trailing_comma_as_the_documentation_prints_it(self, world: World) -> None:
        printed = (
            b'{"jsonrpc": "2.0", "method": "supported_operations", "id": "f6a21a59", "params": {\n'
            b'  "object": {"object_api_name": "invitation", "label": "a,}"},\n  }\n}'
        )
        answer = await world.client.post(PATH, content=printed)
        assert answer.json()["result"]["operations"][0] == "upsert"

    async def test_the_speed_is_what_koji_allows(self, world: World) -> None:
        await world.reconfigure({"KOJI_RATE_LIMIT_PER_MINUTE": "60"})
        assert await rpc(world, "get_sync_speed") == {
            "maximum_batch_size": 6,
            "maximum_parallel_batches": 1,
            "maximum_records_per_second": 1,
        }


class TestInvitations:
    async def test_each_row_is_one_interview_however_often_it_comes(self, world: World) -> None:
        rows = [{"email": person(n), "name": "Somebody"} for n in range(3)]
        for _ in range(2):
            told = await sync(world, *rows, rows[0])
            expected = [{"identifier": one["email"], "success": True} for one in [*rows, rows[0]]]
            assert told == expected
        assert await sync(world, rows[1], operation="insert") == [{"identifier": person(1), "success": True}]
        assert started(world) == 3

    async def test_who_was_invited_otherwise_is_not_asked_again(self, world: World) -> None:
        await world.get("start_interview", email=person(1), user_id="user-1")
        assert (await sync(world, {"user_id": "user-1"}, identifier="user_id"))[0]["success"]
        assert started(world) == 1

    async def test_bad_rows_stand_beside_good_ones(self, world: World) -> None:
        told = await sync(
            world,
            {"email": person(1)},
            {"email": "no address"},
            {"email": person(2), "colour": "red"},
            {"name": "Nobody"},
            "no row",
            {"email": person(3), "mode": "telepathy"},
            {"email": person(4), "reinvite_after_days": 0},
            {"email": person(5), "connection": "nowhere"},
            {"email": person(6), "user_id": "4,711,001"},
        )
        assert [one["success"] for one in told] == [True, *[False] * 8]
        assert [one["identifier"] for one in told][:5] == [
            person(1),
            "no address",
            person(2),
            None,
            None,
        ]
        words = [
            "",
            "email",
            "colour",
            "email",
            "object",
            "mode",
            "reinvite_after_days",
            "nowhere",
            "user_id",
        ]
        assert all(word in one.get("error_message", "") for one, word in zip(told, words, strict=True)), told
        assert started(world) == 1

    async def test_what_koji_refuses_is_told_with_its_reason(self, world: World) -> None:
        await world.fault("koji", "status", status=422, body={"error": {"message": "No such locale"}})
        [told] = await sync(world, {"email": person(1)})
        assert told["success"] is False
        assert told["error_message"]
        assert await sync(world, {"email": person(1)}) == [{"identifier": person(1), "success": True}]

    async def test_caps_hold_and_a_forgotten_person_stays_out(self, world: World) -> None:
        await world.get("forget_respondent", email=person(9))
        [told] = await sync(world, {"email": person(9)})
        assert (told["success"], "suppressed" in told["error_message"]) == (False, True)
        await world.reconfigure({"CONNECTOR_MAX_CREDITS_PER_DAY": "3"})
        [first] = await sync(world, {"email": person(1)})
        [second] = await sync(world, {"email": person(2)})
        assert first["success"]
        assert "CONNECTOR_MAX_CREDITS_PER_DAY" in second["error_message"]
        assert started(world) == 1

    async def test_a_row_that_recently_was_asked_is_done(self, world: World) -> None:
        row = {"email": person(1), "reinvite_after_days": 30}
        for _ in range(2):
            assert (await sync(world, row))[0]["success"]
        assert started(world) == 1

    async def test_what_waits_is_stored_before_it_counts(self, world: World) -> None:
        await world.restart(workers=False)
        assert (await sync(world, {"email": person(1)}))[0]["success"]
        assert started(world) == 0
        await world.restart()

        async def sent() -> bool:
            return started(world) == 1

        await until(sent)
        assert (await world.get("start_interview", email=person(1)))["status"] == "already_invited"
        assert started(world) == 1

    async def test_a_mirror_calls_off_what_is_not_sent(self, world: World) -> None:
        await sync(world, {"email": person(1)})
        await world.restart(workers=False)
        await sync(world, {"email": person(2)})
        gone = [{"email": person(n)} for n in (1, 2, 3)]
        told = await sync(world, *gone, operation="delete")
        assert [one["success"] for one in told] == [False, True, True]
        assert "started" in told[0]["error_message"]
        await world.restart()
        [launched] = [
            one for one in (await world.get("list_launches"))["items"] if one["status"] == "cancelled"
        ]
        assert launched["cancelled"] == 1
        assert started(world) == 1

    async def test_it_is_in_the_audit_log(self, world: World) -> None:
        await sync(world, {"email": person(1)})
        [entry] = (await world.get("list_audit", surface="census"))["items"]
        assert (entry["operation"], entry["outcome"]) == ("start_interview", "done")


class TestInterviewSyncs:
    async def test_an_interview_is_read_and_counted_once(self, world: World) -> None:
        await world.interview("int-1", 1)
        for _ in range(2):
            told = await sync(
                world, {"interview_id": "int-1"}, of="interview_sync", identifier="interview_id"
            )
            assert told == [{"identifier": "int-1", "success": True}]
        assert world.completed() == ["int-1"]

    async def test_values_may_be_given(self, world: World) -> None:
        row = {
            "interview_id": "int-2",
            "themes": ["slow import"],
            "sentiment": "negative",
            "quality_score": "4.2",
            "respondent_email": person(2),
            "completed_at": "2026-11-20T10:00:00Z",
        }
        assert (await sync(world, row, of="interview_sync", identifier="interview_id"))[0]["success"]
        assert world.completed() == ["int-2"]

    async def test_what_does_not_reach_amplitude_is_told(self, world: World) -> None:
        await world.deliver(message("int-3", quality_score=1.5))
        rows = [{"interview_id": one} for one in ("int-3", "int-none")]
        told = await sync(world, *rows, of="interview_sync", identifier="interview_id")
        assert [one["success"] for one in told] == [False, False]
        assert "below_quality_gate" in told[0]["error_message"]
        [told] = await sync(
            world, rows[0], of="interview_sync", identifier="interview_id", operation="delete"
        )
        assert "forget_respondent" in told["error_message"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ("", -32700),
            ("{", -32700),
            ("{,}", -32700),
            ("{ ,\n}", -32700),
            ('{"id": 1,,}', -32700),
            ('{"params": [,], "id": 1}', -32700),
            ('{"id": 1,}', -32600),
            ('{"id": NaN}', -32700),
            ("not json", -32700),
            ("[]", -32600),
            ("1", -32600),
            ('{"jsonrpc": "1.0", "method": "list_objects", "id": 1}', -32600),
            ('{"jsonrpc": "2.0", "method": "list_objects"}', -32600),
            ('{"jsonrpc": "2.0", "method": 7, "id": 1}', -32600),
            ('{"jsonrpc": "2.0", "method": "no_such", "id": 1}', -32601),
            ('{"jsonrpc": "2.0", "method": "list_objects", "id": 1, "params": []}', -32602),
            ('{"jsonrpc": "2.0", "method": "list_fields", "id": 1}', -32602),
            ('{"jsonrpc": "2.0", "method": "sync_batch", "id": 1, "params": {"connection": 7}}', -32602),
            ('{"jsonrpc": "2.0", "method": "sync_batch", "id": 1, "params": {"connection": ["a"]}}', -32602),
        ],
    )
    async def test_what_is_no_call(self, world: World, body: str, code: int) -> None:
        answer = await world.client.post(PATH, content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (200, code)
        assert answer.json()["error"]["message"]

    async def test_a_batch_that_cannot_be_meant_touches_nobody(self, world: World) -> None:
        row = {"email": person(1)}
        wrong = [
            plan(row, of="restaurant"),
            plan(row, operation="update"),
            plan(row, identifier="name"),
            plan(*[row] * 101),
            {**plan(row), "records": {"0": row}},
            {"records": [row]},
        ]
        unknown = plan(row)
        unknown["sync_plan"]["schema"]["colour"] = {"active_identifier": False}
        for params in [*wrong, unknown]:
            told = await rpc(world, "sync_batch", params)
            assert told["code"] == -32602, told
        assert (await rpc(world, "sync_batch", plan(row), query="?connection=nowhere"))["code"] == -32000
        assert (await world.get("list_launches"))["items"] == []

    async def test_a_row_may_not_leave_the_connection_of_the_address(self, world: World) -> None:
        [told] = await sync(world, {"email": person(1), "connection": "shop"}, query="?connection=default")
        assert "default" in told["error_message"]


class TestCredentials:
    async def test_the_secret_in_the_address(self, world: World, capfd: pytest.CaptureFixture[str]) -> None:
        call = {"jsonrpc": "2.0", "method": "list_objects", "params": {}, "id": 1}
        bare = {"Authorization": ""}
        answer = await world.client.post(f"{PATH}?census_authentication={TOKEN}", json=call, headers=bare)
        assert answer.json()["result"]["objects"]
        for query in ("", "?census_authentication=", "?census_authentication=wrong", f"?token={TOKEN}"):
            refused: httpx.Response = await world.client.post(PATH + query, json=call, headers=bare)
            assert_problem(refused, 401, "unauthenticated")
        elsewhere = await world.client.get(f"/me?census_authentication={TOKEN}", headers=bare)
        assert_problem(elsewhere, 401, "unauthenticated")
        out, err = capfd.readouterr()
        assert TOKEN not in out + err

    async def test_scopes_and_connections_hold(self, world: World) -> None:
        reader = {"Authorization": f"Bearer {await a_token(world, 'read')}"}
        params = plan({"email": person(1)})
        assert (await rpc(world, "test_connection", **reader))["success"] is False
        refused = await rpc(world, "sync_batch", params, **reader)
        assert refused["data"] == {"code": "missing_scope"}
        [entry] = (await world.get("list_audit", surface="census"))["items"]
        assert entry["outcome"] == "missing_scope"
        assert started(world) == 0

    async def test_nothing_but_post(self, world: World) -> None:
        assert_problem(await world.client.get(PATH), 405, "method_not_allowed")
        assert json.loads((await world.client.post(PATH, json={})).text)["error"]["code"] == -32600
