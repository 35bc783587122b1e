"""Whatever bytes strangers send to the real application: an answer of ours, never a fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import strategies as st

from connector.http.body import MAX_BODY_BYTES, MAX_FORM_FIELDS, MAX_PART_HEADERS
from connector.operations import OPERATIONS
from tests.fuzz.door import AUTHORIZED, Door, Headers, assert_an_answer_of_ours, every
from tests.fuzz.hostile import (
    ANYTHING,
    BODIES,
    CALLS,
    FORM,
    HEADER,
    JSON,
    MULTIPART,
    PAIRS,
    PARTS,
    PLAIN,
    QUERIES,
    RAW_VALUES,
    TYPES,
    VALUES,
    as_json,
    joined,
    written,
)
from tests.support.harness import TOKEN

pytestmark = [pytest.mark.e2e, pytest.mark.fuzz]
ON_ONE = pytest.mark.parametrize("door", ["sqlite"], indirect=True)  # refused before any database


def cut(body: bytes, places: list[int]) -> list[bytes]:
    cuts = sorted(place % (len(body) + 1) for place in places)
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


@st.composite
def actions(draw: st.DrawFn) -> tuple[str, bytes, bytes]:
    """Draw an operation, a content type and a body, most of them of fields that the operation has."""
    op = draw(st.sampled_from(OPERATIONS))
    own = st.sampled_from([name for name in sorted(op.input.model_fields) if name != "wait_seconds"])
    if draw(st.booleans()):
        members = st.lists(st.tuples(own.map(json.dumps).map(str.encode), VALUES), max_size=3)
        return op.name, JSON, written(draw(members))
    pairs = st.lists(st.tuples(own.map(str.encode), RAW_VALUES), max_size=3)
    form = st.tuples(st.just(FORM), pairs.map(joined) | PAIRS)
    other = st.tuples(TYPES, BODIES | PAIRS | MULTIPART)
    return op.name, *draw(
        form | st.tuples(st.just(PARTS), MULTIPART) | st.tuples(st.just(JSON), BODIES) | other
    )


PLACES = st.lists(st.integers(min_value=0), max_size=2)
ODD_HEADERS = st.sampled_from([b"idempotency-key", b"content-encoding", b"content-length"])


def test_no_body_or_query_of_an_action_is_a_fault(door: Door, examples: int) -> None:
    more = st.lists(st.tuples(ODD_HEADERS, HEADER), max_size=2)

    def check(made: tuple[tuple[str, bytes, bytes], bytes, Headers, list[int]]) -> None:
        (name, kind, body), query, odd, places = made
        headers = [AUTHORIZED, (b"content-type", kind), *odd]
        answer = door.ask("POST", f"/actions/{name}", query=query, headers=headers, body=cut(body, places))
        assert_an_answer_of_ours(*answer)

    every(examples, st.tuples(actions(), st.just(b"") | QUERIES, more, PLACES), check)


def test_no_call_that_the_schema_allows_is_a_fault(door: Door, examples: int) -> None:
    """Nearly all of these pass the first look, and reach the ledger."""

    def check(call: tuple[str, dict[str, Any]]) -> None:
        headers = [AUTHORIZED, (b"content-type", JSON)]
        answer = door.ask("POST", f"/actions/{call[0]}", headers=headers, body=[as_json(call[1])])
        assert_an_answer_of_ours(*answer)

    every(4 * examples, CALLS, check)


def test_no_address_or_credential_is_a_fault(door: Door, examples: int) -> None:
    paths = (
        st.sampled_from([f"/actions/{op.name}" for op in OPERATIONS])
        | st.text(max_size=12).map("/actions/".__add__)
        | st.text(max_size=12).map("/".__add__)
    )
    credentials = st.just(AUTHORIZED[1]) | HEADER.map(b"Basic ".__add__) | HEADER

    def check(made: tuple[str, str, bytes, bytes]) -> None:
        path, method, query, credential = made
        answer = door.ask(method, path, query=query, headers=[(b"authorization", credential)])
        if method != "HEAD" and not path.startswith("/console"):
            assert_an_answer_of_ours(*answer)
        assert answer[0] < 500

    check(("/actions/list_syncs", "GET", b"", b"Basic \xff"))
    methods = st.sampled_from(["GET", "HEAD", "PUT", "BREW"])
    every(examples, st.tuples(paths, methods, QUERIES, credentials), check)


def test_no_hook_or_poll_is_a_fault(door: Door, examples: int) -> None:
    targets = (
        st.sampled_from(["https://example.com/caf\u00e9", "https://a..com/", "https://[::1/", "//x"]) | PLAIN
    )
    events = st.sampled_from(["interview_synced", "launch_paused", ""]) | PLAIN
    hooks = st.fixed_dictionaries(
        {"target_url": targets | ANYTHING, "event": events}, optional={"connection": PLAIN}
    )

    def check(made: tuple[Any, bytes]) -> None:
        headers = [AUTHORIZED, (b"content-type", JSON)]
        assert_an_answer_of_ours(*door.ask("POST", "/hooks", headers=headers, body=[as_json(made[0])]))
        for method, path in (("GET", "/hooks"), ("DELETE", "/hooks"), ("GET", "/triggers/interview_synced")):
            assert_an_answer_of_ours(*door.ask(method, path, query=made[1], headers=[AUTHORIZED]))

    every(examples, st.tuples(hooks, QUERIES), check)


def part(value: bytes, *more: bytes, name: bytes = b"variant") -> bytes:
    head = b'Content-Disposition: form-data; name="' + name + b'"'
    return b"--b\r\n" + b"\r\n".join([head, *more]) + b"\r\n\r\n" + value + b"\r\n"


@pytest.mark.parametrize(
    ("kind", "body", "status", "code", "words"),
    [
        (PARTS, part(b"x" * MAX_BODY_BYTES), 413, "body_too_large", "20 MiB"),
        (
            PARTS,
            part(b"x" * (MAX_BODY_BYTES // 2)),
            422,
            "invalid_input",
            "variant: String should have at most",
        ),
        (PARTS, part(b"x", name=b"x" * 5_000), 422, "malformed_form", "one over 4,096 bytes"),
        (
            PARTS,
            part(b"x", b"X-Long: " + b"x" * (MAX_BODY_BYTES // 2)),
            422,
            "malformed_form",
            "headers",
        ),
        (PARTS, part(b"x", *[b"X: y"] * MAX_PART_HEADERS), 422, "malformed_form", "over 8 headers"),
        (PARTS, part(b"x") * (MAX_FORM_FIELDS + 1), 422, "malformed_form", "more than 10,000 fields"),
        (FORM, b"a=1&" * (MAX_FORM_FIELDS + 1), 422, "malformed_form", "more than 10,000 fields"),
    ],
    ids=["body", "part", "name", "header", "headers", "parts", "fields"],
)
@ON_ONE
def test_a_form_beyond_measure_is_told_which(
    door: Door, kind: bytes, body: bytes, status: int, code: str, words: str
) -> None:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", kind)]
    ended = body if kind == FORM else body + b"--b--\r\n"
    found, told, answered = door.ask("POST", "/actions/plan_cohort_launch", headers=headers, body=[ended])
    assert_an_answer_of_ours(found, told, answered)
    problem = json.loads(answered)
    assert (found, problem["code"]) == (status, code)
    assert words in problem["detail"]
    assert len(answered) < 2_000


@ON_ONE
def test_a_body_that_is_wrong_everywhere_gets_a_short_answer(door: Door) -> None:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    for body in (
        b"{" + b",".join(b'"field_%d":1' % n for n in range(100_000)) + b"}",
        b'{"csv": "interview_id\\n' + b"int-1\\n" * 200_000 + b'"}',
        b'{"csv": "interview_id,email\\n' + b" ,\\n" * 200_000 + b'"}',
    ):
        status, told, answered = door.ask(
            "POST", "/actions/backfill_interviews", headers=headers, body=[body]
        )
        assert_an_answer_of_ours(status, told, answered)
        assert status == 422
        assert len(answered) < 10_000
        assert 0 < len(json.loads(answered)["errors"]) <= 50
