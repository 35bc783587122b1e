"""No tool sends results to an address that a model names."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.types import ElicitRequestParams, ElicitResult

from connector.operations import OPERATIONS
from tests.mcp.clients import http_client, people, refused, started
from tests.support.harness import World

pytestmark = pytest.mark.e2e

URL = "https://example.com/results"
ASKED: dict[str, dict[str, Any]] = {
    "launch_cohort_interviews": {"members": people(1)},
    "plan_cohort_launch": {"members": people(1)},
    "start_interview": {"email": "person-001@example.com"},
    "sync_interview_to_amplitude": {"interview_id": "interview-1"},
    "backfill_interviews": {"interview_ids": ["interview-1"]},
    "replay_syncs": {"status": "failed"},
    "forget_respondent": {"email": "person-001@example.com"},
    "resume_launch": {"launch_id": "lau_1"},
}


async def yes(_: Any, __: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={})


async def test_callback_url_is_refused_by_name_on_every_tool(world: World) -> None:
    async with http_client(world, elicitation_callback=yes) as client:
        for one in (await client.list_tools()).tools:
            assert "callback" not in str(one.input_schema)
        for op in OPERATIONS:
            for given in ({"callback_url": URL}, {"callback_url": [URL]}, {"callback_url": None}):
                answer = await client.call_tool(op.name, {**ASKED.get(op.name, {}), **given})
                values = refused(answer, "invalid_input")
                assert "callback_url" in [error["argument"] for error in values["errors"]], op.name
            for name in ("callbackUrl", "callback-url", "Callback_URL", "callback_url "):
                answer = await client.call_tool(op.name, {**ASKED.get(op.name, {}), name: URL})
                assert name.strip() in str(refused(answer, "invalid_input")["errors"]), op.name
    await world.idle()
    assert started(world) == []
    assert (await world.get("list_launches"))["items"] == []
