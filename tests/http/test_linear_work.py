"""Four times the input costs about four times the work, however adversarial the input is."""

from __future__ import annotations

import gc
import gzip
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from connector.amplitude.cohort_file import CohortFile
from connector.cli.operations.values import read_members
from connector.domain.people.email import email_of, same_email
from connector.domain.people.user_id import user_id_of
from connector.domain.results.koji_fields import read_envelope, read_interview, shape
from connector.errors import ConnectorError
from connector.http.body import MAX_FORM_FIELDS, parse_body, parse_pairs
from connector.http.webhooks.koji import _parse
from connector.log import Scrubber
from connector.operations import OPERATIONS
from connector.operations.backfill_interviews import BackfillInput, _items
from connector.security.webhook_signature import SCHEMES, SignatureRefused, verify
from connector.service.input.coerce import fit
from connector.service.input.validate import validate
from connector.text.invisible import trimmed
from connector.text.values import read_time

pytestmark = [pytest.mark.unit, pytest.mark.proof]  # measurements, though with much room

MIB = 1024 * 1024
FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=b"
HEAD = b'Content-Disposition: form-data; name="a"'
FILE = HEAD + b'; filename="f"\r\nContent-Transfer-Encoding: '

# A quadratic step makes 16 of 4, a linear one 4, and up to 8 where it outgrows a cache. Below the floor a
# measurement is mostly noise, and a quadratic step of inputs this large is far above it.
STEP = 4
TOO_MUCH = 11
FLOOR = 0.002
RUNS, ROUNDS = 5, 4


@pytest.fixture(autouse=True)
def _no_collections() -> Iterator[None]:
    """Leave the garbage collector out, whose work grows with what other tests left."""
    gc.disable()
    yield
    gc.enable()


def cost(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def assert_linear(work: Callable[[int], Callable[[], object]], size: int) -> None:
    """Compare the best of several runs; only a ratio that stays too large is one."""
    one, four = work(size), work(size * STEP)
    large = cost(four)
    if large < TOO_MUCH * FLOOR:
        return
    small = min(cost(one) for _ in range(RUNS))
    for _ in range(ROUNDS * RUNS):
        if large < TOO_MUCH * max(small, FLOOR):
            break
        small, large = min(small, cost(one)), min(large, cost(four))
    assert large < TOO_MUCH * max(small, FLOOR), f"{small:.4f} s became {large:.4f} s"


def part(value: bytes, head: bytes = HEAD) -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + value + b"\r\n"


def repeated(piece: bytes, before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: before + piece * (size // len(piece)) + after


def numbered(
    template: bytes, between: bytes, before: bytes = b"", after: bytes = b""
) -> Callable[[int], bytes]:
    return lambda size: (
        before + between.join(template % n for n in range(size // (len(template) + 4))) + after
    )


def form_of(value: bytes, head: bytes = HEAD) -> Callable[[int], bytes]:
    return lambda size: part(value * (size // len(value)), head) + b"--b--\r\n"


BODIES: dict[str, tuple[str | None, Callable[[int], bytes]]] = {
    "ampersands": (FORM, repeated(b"&")),
    "percents": (FORM, repeated(b"%", b"a=")),
    "halves of escapes": (FORM, repeated(b"%2", b"a=")),
    "escapes": (FORM, repeated(b"%41", b"a=")),
    "pluses": (FORM, repeated(b"+", b"a=")),
    "semicolons": (FORM, repeated(b";", b"a=")),
    "equals": (FORM, repeated(b"=", b"a")),
    "brackets": (FORM, repeated(b"[", b"a", b"=1")),
    "pairs of brackets": (FORM, repeated(b"[]", b"a", b"=1")),
    "underscores": (FORM, repeated(b"_", b"a", b"b=1")),
    "steps of one key": (FORM, repeated(b"__a", b"a", b"=1")),
    "open arrays": (None, repeated(b"[")),
    "open objects": (None, repeated(b'{"a":')),
    "nesting up to the limit": (None, repeated(b"[" * 61 + b"]" * 61 + b",", b'{"a":[', b"1]}")),
    "one long number": (None, repeated(b"9", b'{"a":', b"}")),
    "long numbers": (None, repeated(b"9" * 4_000 + b",", b'{"a":[', b"1]}")),
    "a long fraction": (None, repeated(b"9", b'{"a":0.', b"}")),
    "a long exponent": (None, repeated(b"9", b'{"a":1e', b"}")),
    "escaped letters": (None, repeated(rb"\u0041", b'{"a":"', b'"}')),
    "escaped backslashes": (None, repeated(rb"\\u0000", b'{"a":"', b'"}')),
    "pairs of halves": (None, repeated(rb'"\ud83d\ude00",', b'{"a":[', b"1]}")),
    "one key again and again": (None, repeated(b'"a":1,', b"{", b'"a":1}')),
    "keys": (None, numbered(b'"k%d":1', b",", b"{", b"}")),
    "flat keys of one object": (None, numbered(b'"a__b__k%d":1', b",", b"{", b"}")),
    "flat keys beside their object": (
        None,
        lambda size: b"{%b,%b}" % (numbered(b'"a__k%d":1', b",")(size), b'"a":{"b":1}'),
    ),
    "spaces": (None, repeated(b" ", b"", b"{}")),
    "a large part": (PARTS, form_of(b"x")),
    "line ends": (PARTS, form_of(b"\r\n")),
    "returns": (PARTS, form_of(b"\r")),
    "almost boundaries": (PARTS, form_of(b"\r\n--")),
    "almost boundaries of a file": (PARTS, form_of(b"\r\n--", FILE + b"7bit")),
    "base64": (PARTS, form_of(b"YWFh", FILE + b"base64")),
    "lines of base64": (PARTS, form_of(b"Y\r\n", FILE + b"base64")),
    "quoted printable": (PARTS, form_of(b"=\r\n", FILE + b"quoted-printable")),
    "before the first part": (PARTS, repeated(b"\r\n-")),
    "after the last part": (PARTS, repeated(b"\r\n-", part(b"") + b"--b--")),
    "a part's head": (PARTS, lambda size: part(b"", HEAD + b";" * size)),
    "headers of a part": (PARTS, lambda size: part(b"", b"\r\n".join([b"X: y"] * (size // 6)))),
    "parameters of parts": (PARTS, repeated(part(b"", HEAD + b';"' * 1_900), b"", b"--b--\r\n")),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(name: str) -> None:
    content_type, body = BODIES[name]

    def work(size: int) -> Callable[[], object]:
        written = body(size)

        def run() -> None:
            with suppress(ConnectorError):
                parse_body(content_type, written)

        return run

    assert_linear(work, MIB // 4)


FIELDS: dict[str, Callable[[int], list[tuple[str, str]]]] = {
    "one key": lambda count: [("a", "1")] * count,
    "list keys": lambda count: [("a[]", "1")] * count,
    "keys": lambda count: [(f"a{n}", "1") for n in range(count)],
    "keys of one object": lambda count: [(f"a__b__{n}", "1") for n in range(count)],
    "deep keys": lambda count: [("a" + "__a" * 60 + f"__{n}", "1") for n in range(count)],
    "deep keys beside each other": lambda count: [(f"a{n}" + "__a" * 60, "1") for n in range(count)],
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_of_a_form(name: str) -> None:
    def work(count: int) -> Callable[[], object]:
        pairs = FIELDS[name](count)
        return lambda: parse_pairs(pairs)

    assert_linear(work, MAX_FORM_FIELDS // STEP)


# together they have a field of every kind
KINDS = [op for op in OPERATIONS if op.name in {"plan_cohort_launch", "sync_interview_to_amplitude"}]
TEXTS: dict[str, Callable[[int], object]] = {
    "commas": lambda size: "," * size,
    "words": lambda size: "a," * (size // 2),
    "lines": lambda size: "a\r\n" * (size // 3),
    "line ends": lambda size: "\r\n" * (size // 2),
    "spaces": lambda size: " " * size,
    "open arrays": lambda size: "[" * size,
    "open objects": lambda size: '{"a":' * (size // 5),
    "digits": lambda size: "9" * size,
    "minus signs": lambda size: "-" * size,
    "at signs": lambda size: "a@" * (size // 2),
    "dots": lambda size: "." * size,
    "items": lambda size: ["a"] * (size // 8),
    "empty objects": lambda size: [{} for _ in range(size // 32)],
    "wrong objects": lambda size: [{"no_such_field": 1} for _ in range(size // 32)],
}


@pytest.mark.parametrize("name", TEXTS)
def test_fields_of_operations(name: str) -> None:

    def work(size: int) -> Callable[[], object]:
        value = TEXTS[name](size)
        asked = [(op.input, {field: value}) for op in KINDS for field in op.input.model_fields]

        def run() -> None:
            for model, values in asked:
                with suppress(ConnectorError):
                    validate(model, fit(values, model))

        return run

    assert_linear(work, 16_384)


def test_unknown_fields() -> None:
    op = next(op for op in OPERATIONS if op.name == "list_syncs")

    def work(count: int) -> Callable[[], object]:
        values = {f"reasno{n}": 1 for n in range(count)}

        def run() -> None:
            with suppress(ConnectorError):
                validate(op.input, fit(values, op.input))

        return run

    assert_linear(work, 4_000)


SIGNATURES = {
    "commas": b"v1=" + b"," * 2_000,
    "spaces": b"v1," + b" " * 1_900 + b"v1,",
    "equals": b"t=1,v1=" + b"=" * 1_900,
    "times": b"v1=,t=" + b"9" * 1_900,
    "parts without a mac": b"t=1," * 500 + b"v1=",
    "macs": b"t=1" + (b",v1=" + b"0" * 64) * 29,
    "standard macs": (b"v1," + b"A" * 43 + b" ") * 43,
    "almost macs": (b"v1," + b"A" * 42 + b"! ") * 42,
    "hexadecimal": b"sha256=" + b"a" * 2_000,
    "base64": b"A" * 2_000,
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", SIGNATURES)
def test_headers_of_a_signature(name: str, scheme: str) -> None:
    def work(count: int) -> Callable[[], object]:
        headers = [(b"x-sig-%d" % n, SIGNATURES[name]) for n in range(count)]
        return lambda: verify(
            b"{}", headers, keys=[b"key"], scheme=scheme, header=None, tolerance_seconds=300, now=0
        )

    assert isinstance(work(10)(), SignatureRefused)
    assert_linear(work, 250)


WEBHOOKS: dict[str, Callable[[int], bytes]] = {
    "open arrays": repeated(b"["),
    "nesting": repeated(b'{"data":' * 500 + b"1" + b"}" * 500 + b",", b"[", b"1]"),
    "long numbers": repeated(b"9" * 4_000 + b",", b'{"themes":[', b"1]}"),
    "one long number": repeated(b"9", b'{"quality_score":', b"}"),
    "not numbers": repeated(b"NaN,", b'{"themes":[', b"1]}"),
    "halves of characters": repeated(rb"\ud800", b'{"event":"', b'"}'),
    "keys": numbered(b'"k%d":1', b",", b"{", b"}"),
    "themes": numbered(b'"theme %d"', b",", b'{"themes":[', b"]}"),
    "lines of themes": repeated(rb"a\n", b'{"themes":"', b'"}'),
    "an event": repeated(b"a._", b'{"data":{"event":"', b'"}}'),
    "ids": repeated(b"!", b'{"interview_id":"', b'"}'),
    "a time": repeated(b"1", b'{"timestamp":"', b'"}'),
}


@pytest.mark.parametrize("name", WEBHOOKS)
def test_webhooks(name: str) -> None:
    def work(size: int) -> Callable[[], object]:
        body = WEBHOOKS[name](size)

        def run() -> None:
            parsed = _parse(body)
            envelope = read_envelope(parsed, [(b"x-koji-event", b"a." * 500)])
            read_interview(parsed, "int_1", event=envelope.event)
            shape(parsed)

        return run

    assert_linear(work, MIB // 4)


CSV: dict[str, Callable[[int], bytes]] = {
    "quotes": repeated(b'"' + b'""' * 500 + b'"\n'),
    "an open quote": repeated(b"a", b'"'),
    "line ends in a cell": repeated(b'"' + b"\n" * 1_000 + b'"\n'),
    "cells that begin and end lines": repeated(b'"\n"\n'),
    "quotes and line ends by turns": repeated(b'"\n""\n"\n'),
    "one long record": repeated(b'"\n",', b"", b'""\n'),
    "commas": repeated(b","),
    "empty lines": repeated(b"\r\n"),
    "returns": repeated(b"\r"),
    "rows": repeated(b"a long cell\n"),
    "digits": repeated(b"9" * 1_000 + b"\n"),
}


@pytest.mark.parametrize("chunk", [512, 4 * MIB])
@pytest.mark.parametrize("name", CSV)
def test_cohort_files(name: str, chunk: int) -> None:
    def work(size: int) -> Callable[[], object]:
        data = b'"user_id"\n' + CSV[name](size)

        def run() -> None:
            file = CohortFile(["email"])
            with suppress(ConnectorError):
                for at in range(0, len(data), chunk):
                    for _ in file.feed(data[at : at + chunk]):
                        pass
                file.finish(whole=True)

        return run

    assert_linear(work, MIB // 4)


@pytest.mark.parametrize("piece", [b"", b'"a"\n', b'"a"\n' * 5_000])
def test_cohort_files_of_many_members(piece: bytes) -> None:
    def work(count: int) -> Callable[[], object]:
        data = gzip.compress(b'"user_id"\n') + gzip.compress(piece) * count

        def run() -> None:
            file = CohortFile([])
            for _ in file.feed(data):
                pass
            file.finish(whole=True)

        return run

    assert_linear(work, MIB // (80 + len(piece) * 8))


@pytest.mark.parametrize("header", ["user_id,email\n", "email,user_id," + "plan," * 200 + "\n"])
@pytest.mark.parametrize("name", CSV)
def test_files_of_members(name: str, header: str) -> None:
    def work(size: int) -> Callable[[], object]:
        text = header + CSV[name](size).decode()

        def run() -> None:
            with suppress(ConnectorError):
                read_members("members", text)

        return run

    assert_linear(work, MIB // 4)


@pytest.mark.parametrize("name", CSV)
def test_files_of_past_interviews(name: str) -> None:
    def work(size: int) -> Callable[[], object]:
        text = "interview_id,completed_at,email\n" + CSV[name](size).decode()
        given = BackfillInput.model_validate({"csv": text})

        def run() -> None:
            with suppress(ConnectorError):
                _items(given)

        return run

    assert_linear(work, MIB // 128)


EDGES: dict[str, Callable[[str], object]] = {
    "times": read_time,
    "addresses": email_of,
    "compared addresses": same_email,
    "edges": trimmed,
    "user ids": user_id_of,
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("part", [" ", "mailto:", "<", "\u200b ", '"', "mailto:<"])
def test_texts_of_people(name: str, part: str) -> None:
    def work(size: int) -> Callable[[], object]:
        text = f"é{part * (size // len(part))}x"
        return lambda: EDGES[name](text)

    assert_linear(work, 65_536)


LOGGED = {
    "at signs": "a@",
    "escaped at signs": "a%40",
    "question marks": "?",
    "parameters": "?token=",
    "ampersands": "&a",
    "escapes": "?%74",
    "quotes": "'\"",
    "schemes": "bearer ",
    "addresses": "://",
    "headers": "x-api-key: ",
}


@pytest.mark.parametrize("name", LOGGED)
def test_lines_of_the_log(name: str) -> None:
    scrub = Scrubber(["a-secret-of-ours"]).text

    def work(size: int) -> Callable[[], object]:
        text = LOGGED[name] * (size // len(LOGGED[name]))
        return lambda: scrub(text)

    assert_linear(work, 65_536)
