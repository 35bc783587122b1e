"""Webhooks of Koji and Amplitude, rows of Census, and calls of assistants: no message is a fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.fuzz.door import AUTHORIZED, COHORT_TOKEN, PERSON, Door, Headers, assert_an_answer_of_ours, every
from tests.fuzz.hostile import ANYTHING, BODIES, CALLS, HEADER, JSON, PEOPLE, PLAIN, as_json
from tests.mcp.raw import VERSION
from tests.support.harness import SECRET, TOKEN, message, sign

pytestmark = [pytest.mark.e2e, pytest.mark.fuzz]

KOJI_NAMES = [
    *message("int-1"),
    "anonymous",
    "external_id",
    "project_id",
    "analysis_status",
    "data",
    "metadata",
]
EVENTS = st.sampled_from(
    [
        "interview.completed",
        "interview.analysis_ready",
        "interview.failed_quality_gate",
        "study.published",
        "x",
    ]
)
KOJI = st.fixed_dictionaries(
    {"interview_id": st.integers(0, 30).map("int-{}".format) | ANYTHING, "event": EVENTS | ANYTHING},
    optional={
        "respondent_email": PEOPLE | ANYTHING,
        "themes": st.lists(PLAIN, max_size=3) | st.just('["a, b","c"]') | ANYTHING,
        "quality_score": st.floats(0, 5) | ANYTHING,
        "completed_at": st.sampled_from([1795168800000, "2026-11-20 10:00 UTC", "1.79E+12", 10**30])
        | ANYTHING,
        "sentiment": ANYTHING,
        "anonymous": ANYTHING,
        "external_id": PLAIN | ANYTHING,
        "structured_answers": ANYTHING,
        "data": st.dictionaries(st.sampled_from(KOJI_NAMES), ANYTHING, max_size=4),
    },
)
SCHEMES = st.sampled_from(["hex", "sha256", "base64", "timestamped", "standard-webhooks", "none"])
KOJI_HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"x-koji-signature", b"x-koji-event", b"webhook-id", b"webhook-timestamp"]),
        HEADER | st.sampled_from([b"interview.completed", b"t=1,v1=" + b"0" * 64, b"v1," + b"A" * 43]),
    ),
    max_size=2,
)
KOJI_PATHS = st.sampled_from(
    ["/webhooks/koji", "/webhooks/koji/default", "/webhooks/koji/", "/webhooks/koji/x"]
)


def test_no_webhook_of_koji_is_a_fault(door: Door, examples: int) -> None:
    def check(made: tuple[bytes, str, str, Headers]) -> None:
        body, scheme, path, more = made
        signed = {} if scheme == "none" else sign(body, scheme=scheme, at=door.clock.seconds())
        seal = [(name.lower().encode(), value.encode()) for name, value in signed.items()]
        status, headers, answered = door.ask("POST", path, headers=[*seal, *more], body=[body])
        assert_an_answer_of_ours(status, headers, answered)
        assert status in ({200, 401, 404} if scheme == "none" else {200, 400, 404})

    bodies = KOJI.map(as_json) | BODIES
    every(2 * examples, st.tuples(bodies, SCHEMES, KOJI_PATHS, KOJI_HEADERS), check)


USERS = st.fixed_dictionaries(
    {"user_id": st.integers(0, 40).map("user-{}".format) | PLAIN},
    optional={
        "user_properties": st.dictionaries(st.sampled_from(["email", "gp:email", "First Name"]), PEOPLE)
    },
)
COHORT = st.fixed_dictionaries(
    {
        "cohort_id": st.sampled_from(["c-1", "c-2"]) | ANYTHING,
        "in_cohort": st.booleans() | ANYTHING,
        "users": st.lists(USERS | ANYTHING, max_size=3),
    },
    optional={"cohort_name": ANYTHING, "message_id": ANYTHING, "computed_time": st.integers() | ANYTHING},
)


def test_no_cohort_message_is_a_fault(door: Door, examples: int) -> None:
    def check(made: tuple[bytes, bytes, bool]) -> None:
        body, path, known = made
        token = (b"x-api-key", COHORT_TOKEN.encode() if known else b"another")
        answer = door.ask("POST", path.decode(), headers=[token, (b"content-type", JSON)], body=[body])
        assert_an_answer_of_ours(*answer)
        assert answer[0] in ({200, 400, 404, 422} if known else {401, 404, 429})

    paths = st.sampled_from([b"/webhooks/amplitude/cohorts", b"/webhooks/amplitude/cohorts/default"])
    known = st.sampled_from([True] * 9 + [False])  # guesses are slowed
    every(examples, st.tuples(COHORT.map(as_json) | BODIES, paths, known), check)


RECORDS = st.dictionaries(
    st.sampled_from(
        ["email", "user_id", "name", "mode", "interview_id", "themes", "quality_score", "metadata"]
    ),
    PEOPLE | PLAIN | ANYTHING,
    max_size=4,
)
BATCH = st.fixed_dictionaries(
    {
        "sync_plan": st.fixed_dictionaries(
            {
                "object": st.sampled_from(["invitation", "interview_sync"]).map(
                    lambda of: {"object_api_name": of}
                ),
                "operation": st.sampled_from(["upsert", "insert", "mirror", "delete"]) | ANYTHING,
            },
            optional={"schema": ANYTHING},
        )
        | ANYTHING,
        "records": st.lists(RECORDS | ANYTHING, max_size=3),
    }
)
CENSUS = st.fixed_dictionaries(
    {
        "jsonrpc": st.just("2.0") | ANYTHING,
        "id": ANYTHING,
        "method": st.sampled_from(
            ["sync_batch", "list_objects", "list_fields", "supported_operations", "test_connection"]
        )
        | PLAIN,
        "params": BATCH | ANYTHING,
    }
)


def test_no_row_of_census_is_a_fault(door: Door, examples: int) -> None:
    def check(body: bytes) -> None:
        query = f"census_authentication={TOKEN}".encode()
        status, headers, answered = door.ask(
            "POST", "/integrations/census", query=query, headers=[(b"content-type", JSON)], body=[body]
        )
        assert_an_answer_of_ours(status, headers, answered)
        if status == 200 and answered:
            error = json.loads(answered).get("error", {})
            assert error.get("code") != -32603, answered

    every(examples, CENSUS.map(as_json) | BODIES, check)


def test_no_call_of_an_assistant_is_a_fault(door: Door, examples: int) -> None:
    def check(made: tuple[tuple[str, Any], Any, Any]) -> None:
        (name, arguments), state, method = made
        meta = {
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
        }
        params = {"name": name, "arguments": arguments, "_meta": meta, **state}
        body = as_json({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        headers = [
            AUTHORIZED,
            (b"content-type", JSON),
            (b"accept", b"application/json, text/event-stream"),
            (b"mcp-protocol-version", VERSION.encode()),
            (b"mcp-method", method.encode("ascii", "replace")),
            (b"mcp-name", name.encode()),
        ]
        status, _, answered = door.ask("POST", "/mcp", headers=headers, body=[body])
        assert status < 500, answered
        for line in answered.decode().splitlines():
            if line.startswith(("{", "data: {")):
                told = json.loads(line.removeprefix("data: "))
                assert told.get("error", {}).get("code") != -32603, told
                assert TOKEN not in line

    answers = st.fixed_dictionaries({}, optional={"requestState": PLAIN, "inputResponses": ANYTHING})
    calls = CALLS | st.tuples(CALLS.map(lambda call: call[0]), ANYTHING)
    methods = st.sampled_from(
        ["tools/call"] * 6 + ["tools/list", "resources/read", "completion/complete", "x"]
    )
    every(2 * examples, st.tuples(calls, answers, methods), check)


def test_what_must_not_be_logged_is_sent(door: Door) -> None:
    """An empty log would prove nothing by itself."""
    body = as_json(message("int-canary", respondent_email=f"{PERSON}-0@example.com"))
    signed = [(name.lower().encode(), value.encode()) for name, value in sign(body, SECRET).items()]
    assert door.ask("POST", "/webhooks/koji", headers=signed, body=[body])[0] == 200
    assert "webhook_accepted" in door.logged
