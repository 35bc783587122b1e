"""Whatever is asked within the OpenAPI document, or just beside it, is answered as the document says."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from connector.app import ENDPOINTS
from connector.http.docs.openapi import openapi
from connector.http.docs.schema import resolved
from connector.operations import OPERATIONS
from tests.support.harness import QUICK, HurriedClock, World, message, open_world, sign, until

pytestmark = pytest.mark.e2e

AnyCase = Case[Any]

BASE = "http://connector"
DOCUMENT = openapi(OPERATIONS, ENDPOINTS, public_url=BASE)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
CALLS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)}
DESCRIBED = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass
class Asked:
    """A world with something to find in it, and the ids by which it is found."""

    world: World
    runner: asyncio.Runner
    known: Mapping[str, list[str]]

    def answer(self, case: AnyCase, *, signed: bool) -> httpx.Response:
        """Send a request as its document's reader would write it, with a token or signed as Koji signs."""
        whole = case.as_transport_kwargs(base_url=BASE)
        parts = ("method", "url", "headers", "params", "json", "data", "cookies")
        wire = requests.Request(**{name: whole.get(name) for name in parts}).prepare()
        body = wire.body.encode() if isinstance(wire.body, str) else wire.body or b""
        assert isinstance(body, bytes)
        headers = {
            name: str(value) for name, value in wire.headers.items() if name.lower() != "authorization"
        }
        if signed:
            headers |= sign(body, at=self.world.clock.seconds())
        sent = self.world.client.build_request(str(wire.method), str(wire.url), headers=headers, content=body)
        return self.runner.run(self.world.client.send(sent))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("world")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        world = runner.run(
            stack.enter_async_context(
                open_world(
                    folder, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_ALLOW_PRIVATE_TARGETS="true"
                )
            )
        )
        try:
            known = runner.run(_lived_in(world))
            yield Asked(world, runner, known)
        finally:
            runner.run(stack.aclose())


async def _lived_in(world: World) -> dict[str, list[str]]:
    """Let something of each kind happen, then stop all work in the background, so that no call waits for it."""
    await world.interview("int-5", 5)
    await world.deliver(message("int-1"), message("int-2", quality_score=2))
    await world.ended("int-1", "int-2")
    person = await world.get("start_interview", email="ada@example.com", user_id="user-ada")
    launch = await world.get(
        "launch_cohort_interviews", members=[{"email": "bob@example.com"}], wait_seconds=25
    )
    plan = await world.get("plan_cohort_launch", members=[{"email": "cy@example.com"}], wait_seconds=25)
    run = await world.get("backfill_interviews", interview_ids=["int-1", "nobody"], wait_seconds=25)
    hook = await world.client.post(
        "/hooks", json={"targetUrl": "http://127.0.0.1:9/", "event": "interview_synced"}
    )
    await world.deliver(message("int-3"))
    await world.ended("int-3")

    async def failed() -> Any:
        return (await world.client.get(f"/hooks/{hook.json()['id']}/deliveries")).json()

    await until(failed)
    world.clock = HurriedClock()
    await world.restart(workers=False)
    return {
        "connection": ["default"],
        "interview_id": ["int-1", "int-2", "int-5", str(person["interview_id"])],
        "launch_id": [launch["launch_id"], plan["launch_id"]],
        "plan_token": [plan["plan_token"]],
        "run_id": [run["run_id"]],
        "hook_id": [hook.json()["id"]],
        "email": ["ada@example.com", "dee@example.com"],
        "user_id": ["user-ada", "user-dee"],
        "cohort_id": ["cohort-1"],
        "target_url": ["http://127.0.0.1:9/"],
        "since": ["2025-01-01"],
        "until": ["2030-01-01T00:00:00Z"],
        "completed_at": ["2025-11-20T10:00:00Z"],
        "csv": ["interview_id\nint-1\nint-4"],
        "method": ["test_connection", "list_objects", "list_fields", "supported_operations", "sync_batch"],
    }


def needed_by(operation: Mapping[str, Any]) -> set[str]:
    """Return the names of the fields that a request cannot go without."""
    names = {one["name"] for one in operation.get("parameters", []) if one.get("required")}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = resolved(content["schema"], DOCUMENT["components"]["schemas"])
        names |= set(schema.get("required", []))
    return names


def made_likely(data: st.DataObject, case: AnyCase, known: Mapping[str, list[str]], needed: set[str]) -> None:
    """Name what is there as often as not, and fewer fields: else hardly anything gets past the first check."""
    for part in ("path_parameters", "query", "body"):
        values = getattr(case, part)
        if isinstance(values, dict):
            setattr(
                case, part, _likely(data, values, known, needed if part != "path_parameters" else set(values))
            )


def _likely(
    data: st.DataObject, values: Mapping[str, Any], known: Mapping[str, list[str]], needed: Collection[str]
) -> dict[str, Any]:
    likely = dict(values)  # what was drawn may be drawn again
    for name in sorted(values):
        if name in known and data.draw(st.booleans()):
            likely[name] = data.draw(st.sampled_from(known[name]))
        elif name not in needed and data.draw(st.booleans()):
            del likely[name]
    return likely


WAYS = [
    (label, mode)
    for label, call in CALLS.items()
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or call.definition.raw.get("parameters") or call.body
]


@pytest.mark.parametrize("examples", [3, pytest.param(30, marks=pytest.mark.proof)])
@pytest.mark.parametrize(("label", "mode"), WAYS, ids=lambda one: str(getattr(one, "value", one)))
def test_is_answered_as_described(asked: Asked, label: str, mode: GenerationMode, examples: int) -> None:
    call = CALLS[label]
    needed = needed_by(call.definition.raw)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        case = data.draw(call.as_strategy(generation_mode=mode))
        known = {
            name: ids for name, ids in asked.known.items() if name != "hook_id" or case.method != "DELETE"
        }
        made_likely(data, case, known, needed)
        signed = "/webhooks/" in label and data.draw(st.booleans())
        answer = asked.answer(case, signed=signed)
        assert answer.status_code != 500
        case.validate_response(answer, checks=DESCRIBED)

    ask()
