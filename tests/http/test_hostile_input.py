"""Whatever bytes strangers send to the real application: an answer of ours, never a fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connector.http.body import MAX_BODY_BYTES, MAX_FORM_FIELDS, MAX_PART_HEADERS
from connector.operations import OPERATIONS
from tests.support.harness import TOKEN, HurriedClock, World, open_world, sign

pytestmark = pytest.mark.e2e

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
PARTS = b"multipart/form-data; boundary=b"
PROBLEM = "application/problem+json"


@dataclass
class Door:
    """The application as its server calls it, so that no client tidies up what is sent."""

    world: World
    runner: asyncio.Runner

    def ask(
        self, method: str, path: str, *, query: bytes = b"", headers: Headers, body: Sequence[bytes] = (b"",)
    ) -> tuple[int, dict[str, str], bytes]:
        return self.runner.run(self._ask(method, path, query, headers, body))

    async def _ask(
        self, method: str, path: str, query: bytes, headers: Headers, body: Sequence[bytes]
    ) -> tuple[int, dict[str, str], bytes]:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
            "state": {},
        }
        pieces = [
            {"type": "http.request", "body": piece, "more_body": at < len(body) - 1}
            for at, piece in enumerate(body)
        ]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return pieces.pop(0) if pieces else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.world.app(scope, receive, send)
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], told, b"".join(one.get("body", b"") for one in sent[1:])


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("world")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        world = runner.run(stack.enter_async_context(open_world(folder, clock=HurriedClock(), workers=False)))
        try:
            yield Door(world, runner)
        finally:
            runner.run(stack.aclose())


FIELDS = sorted({name for op in OPERATIONS for name in op.input.model_fields})
KEYS = (
    st.sampled_from([*FIELDS, "user_id", "name", "said", "event", "data", "type", "id"])
    | st.sampled_from(["members__email", "metadata__a__b", "interview__themes", "__", "a__", "themes[]"])
    | st.text(max_size=6)
)
NAMES = KEYS.map(lambda key: json.dumps(key).encode("utf-8", "surrogatepass"))
NUMBERS = [b"NaN", b"-Infinity", b"1e400", b"-0", b"1.5", b"0", b"3", b"9" * 30, b"9" * 5_000, b"-1e-400"]
TEXTS = [
    *(rb'"\ud800"', rb'"\u0000"', rb'"\udc00\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"\x00"', b'"\n"', b'"'),
    *(b'"int-1"', b'"ada@example.com"', b'"default"', b'"text"', b'"NaN"', b'"1e999"', b'"2026-01-31"'),
    *(b'"{\\"user_id\\": [NaN]}"', b'"[[[]]]"', b'"a,b\\nc"', b'"' + b"9" * 5_000 + b'"', '"²"'.encode()),
]
WORDS = [b"null", b"true", b"false", b"", b"[", b"}", b"'", b"//", b"\xef\xbb\xbf", b"undefined"]
LEAVES = (
    st.sampled_from([*NUMBERS, *TEXTS, *WORDS])
    | st.text(max_size=8).map(lambda text: json.dumps(text).encode())
    | st.integers().map(lambda number: b"%d" % number)
)


def written(members: list[tuple[bytes, bytes]]) -> bytes:
    """Write an object that may name a key twice, which no dictionary could."""
    return b"{" + b",".join(name + b":" + value for name, value in members) + b"}"


VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: b"[" + b",".join(items) + b"]")
        | st.lists(st.tuples(NAMES, inner), max_size=4).map(written)
        | st.tuples(inner, st.integers(1, 70)).map(lambda one: b"[" * one[1] + one[0] + b"]" * one[1])
    ),
    max_leaves=12,
)
BODIES = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(written) | VALUES | st.binary(max_size=60)
PERCENT = st.sampled_from([b"%", b"%00", b"%zz", b"%ff", b"%ed%a0%80", b"%5B%5D", b"%2", b"+", b"=", b"[]"])
RAW_KEYS = st.sampled_from([name.encode() for name in FIELDS]) | PERCENT | st.binary(max_size=6)
RAW_VALUES = LEAVES | PERCENT | st.binary(max_size=8)


def joined(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return b"&".join(name + b"=" + value for name, value in pairs)


PAIRS = st.lists(st.tuples(RAW_KEYS, RAW_VALUES), max_size=6).map(joined)
QUERIES = PAIRS.filter(bytes.isascii)  # servers refuse others themselves
PART_HEADS = st.lists(
    st.sampled_from(
        [
            *(b'Content-Disposition: form-data; name="limit"', b"Content-Disposition: form-data; name=limit"),
            *(b"Content-Disposition: form-data; name*=zz''x", b'Content-Disposition: form-data; name="'),
            *(
                b'Content-Disposition: form-data; name="csv"; filename="f"',
                b"Content-Disposition:",
                b":",
                b"",
            ),
            *(b"Content-Disposition: form-data; name*0=a; name*1=b", b"Content-Disposition: attachment"),
            *(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable"),
            *(b"Content-Transfer-Encoding: 7bit", b"Content-Transfer-Encoding: \xff", b"X: \x00"),
            *(b"Content-Type: text/plain; charset=no-such", b"Content-Type: \xff;;;", b"X" * 5_000 + b": 1"),
        ]
    )
    | st.binary(max_size=20),
    max_size=3,
)
PART = st.tuples(PART_HEADS, RAW_VALUES).map(
    lambda part: b"--b\r\n" + b"".join(head + b"\r\n" for head in part[0]) + b"\r\n" + part[1] + b"\r\n"
)
MULTIPART = st.tuples(st.lists(PART, max_size=4), st.sampled_from([b"--b--\r\n", b"--b--", b"--b", b""])).map(
    lambda form: b"".join(form[0]) + form[1]
)
HEADER = st.lists(st.integers(0x20, 0xFF), max_size=12).map(bytes)  # what no server lets in is left out
TYPES = (
    st.sampled_from(
        [
            *(JSON, FORM, PARTS, b"", b"multipart/form-data", b"multipart/form-data; boundary="),
            *(b"multipart/form-data; boundary*=zz''b", b'multipart/form-data; boundary="b', b"text/xml"),
            *(b"multipart/form-data; boundary*0=b; boundary*1=c", b"multipart/form-data; boundary=\xff"),
            *(b"application/json; charset=utf-16", b"application/json; charset=no-such", b"a/b+json"),
            *(b"multipart/form-data; boundary=" + b"b" * 300, FORM + b"; charset=utf-7"),
        ]
    )
    | HEADER
)


def assert_an_answer_of_ours(status: int, headers: dict[str, str], body: bytes) -> None:
    assert status < 500, (status, body)
    if status >= 400:
        assert headers["content-type"] == PROBLEM
        told = json.loads(body)
        assert told["status"] == status
        assert 0 < len(told["detail"]) <= 250


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


@settings(deadline=None)
@given(
    action=actions(),
    query=st.just(b"") | QUERIES,
    more=st.lists(
        st.tuples(st.sampled_from([b"idempotency-key", b"content-encoding", b"content-length"]), HEADER),
        max_size=2,
    ),
    places=st.lists(st.integers(min_value=0), max_size=2),
)
def test_no_body_or_query_of_an_action_is_a_fault(
    door: Door, action: tuple[str, bytes, bytes], query: bytes, more: Headers, places: list[int]
) -> None:
    name, kind, body = action
    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", kind), *more]
    answer = door.ask("POST", f"/actions/{name}", query=query, headers=headers, body=cut(body, places))
    assert_an_answer_of_ours(*answer)


@settings(deadline=None)
@given(
    path=st.sampled_from([f"/actions/{op.name}" for op in OPERATIONS])
    | st.text(max_size=12).map("/actions/".__add__)
    | st.text(max_size=12).map("/".__add__),
    method=st.sampled_from(["GET", "HEAD", "PUT", "BREW"]),
    query=QUERIES,
    credential=st.just(f"Bearer {TOKEN}".encode()) | HEADER.map(b"Basic ".__add__) | HEADER,
)
@example(path="/actions/list_syncs", method="GET", query=b"", credential=b"Basic \xff")
def test_no_address_or_credential_is_a_fault(
    door: Door, path: str, method: str, query: bytes, credential: bytes
) -> None:
    answer = door.ask(method, path, query=query, headers=[(b"authorization", credential)])
    if method != "HEAD":
        assert_an_answer_of_ours(*answer)
    assert answer[0] < 500


@settings(deadline=None)
@given(
    body=BODIES,
    signed=st.booleans(),
    path=st.sampled_from(["/webhooks/koji", "/webhooks/koji/default", "/webhooks/koji/", "/webhooks/koji/x"]),
    more=st.lists(
        st.tuples(
            st.sampled_from([b"x-koji-signature", b"x-koji-event", b"webhook-id", b"webhook-timestamp"]),
            HEADER | st.sampled_from([b"interview.completed", b"t=1,v1=" + b"0" * 64, b"v1," + b"A" * 43]),
        ),
        max_size=3,
    ),
    places=st.lists(st.integers(min_value=0), max_size=2),
)
def test_no_webhook_is_a_fault(
    door: Door, body: bytes, signed: bool, path: str, more: Headers, places: list[int]
) -> None:
    seal = [(name.lower().encode(), value.encode()) for name, value in sign(body).items()] if signed else []
    status, headers, answered = door.ask("POST", path, headers=[*seal, *more], body=cut(body, places))
    assert_an_answer_of_ours(status, headers, answered)
    assert status in ({200, 400, 404} if signed else {200, 401, 404})


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
