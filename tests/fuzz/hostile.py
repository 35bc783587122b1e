"""What strangers and broken programs send: bytes, JSON, forms, and nearly right values of a schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from connector.operations import OPERATIONS
from tests.fuzz.door import PERSON

JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
PARTS = b"multipart/form-data; boundary=b"

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
    *(
        b'"int-1"',
        b'"canary.person-1@example.com"',
        b'"default"',
        b'"text"',
        b'"NaN"',
        b'"1e999"',
        b'"2026-01-31"',
    ),
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


ADDRESSES = st.integers(0, 9).map(lambda n: f"{PERSON}-{n}@example.com")
PEOPLE = ADDRESSES.flatmap(
    lambda address: st.sampled_from(
        [
            address,
            address.upper(),
            f"<{address}>",
            f"mailto:{address}",
            f"Ann <{address}>;",
            f"{address}\u200b",
        ]
    )
)
PLAIN = (
    PEOPLE
    | st.sampled_from(["int-1", "int-2", "lau_1", "default", "text", "voice", "random", "first", "en", ""])
    | st.sampled_from(
        ["N/A", "null", "{{user_id}}", "\ud800", "\x00", "\u202e", "=1+1", "\u0130", "x" * 2_000]
    )
    | st.sampled_from(["2026-11-20T10:00:00Z", "1795168800000", "1.79517E+12", "9999-12-31", "-1", "1e400"])
    | st.sampled_from(["https://example.com/hook", "http://127.0.0.1:9/", "https://a..com/", "https://[::1/"])
    | st.sampled_from(
        ["interview_id,completed_at,email\nint-1,,\n", "sep=;\ninterview_id;email\nint-3;x", '"']
    )
    | st.text(max_size=12)
)
ANYTHING: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=6,
)


def of_schema(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> SearchStrategy[Any]:
    """Return values of a JSON schema of ours, some of which its bounds refuse."""
    if "$ref" in schema:
        return of_schema(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([of_schema(one, defs) for one in schema["anyOf"]])
    match schema.get("type"):
        case "object":
            return _object(schema, defs)
        case "array":
            return st.lists(of_schema(schema.get("items", {}), defs), max_size=3)
        case "integer":
            return st.integers(-2, 600) | st.just(10**30)
        case "number":
            return st.floats(-1, 6) | st.just(float("nan"))
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "string":
            return PLAIN
    return ANYTHING


def _object(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> SearchStrategy[Any]:
    named = {name: of_schema(one, defs) | ANYTHING for name, one in schema.get("properties", {}).items()}
    required = {name: one for name, one in named.items() if name in schema.get("required", ())}
    optional = {name: one for name, one in named.items() if name not in required}
    whole = st.fixed_dictionaries(required, optional=optional)
    if optional:  # a few fields each: with all of them, nearly everything is refused at the first
        few = st.sets(st.sampled_from(sorted(optional)), max_size=3)
        whole = st.tuples(whole, few).map(
            lambda both: {name: one for name, one in both[0].items() if name in required or name in both[1]}
        )
    if not named:
        whole = st.dictionaries(PLAIN, ANYTHING, max_size=3)
    return whole


CALLS = st.sampled_from(OPERATIONS).flatmap(
    lambda op: st.tuples(
        st.just(op.name),
        of_schema(schema := op.input.model_json_schema(), schema.get("$defs", {})).map(
            lambda given: {name: one for name, one in given.items() if name != "wait_seconds"}
        ),
    )
)
"""An operation and arguments that its schema allows, or nearly."""


def as_json(value: Any) -> bytes:
    """Write JSON with what JSON has no word for, too."""
    return json.dumps(value).encode("utf-8", "surrogatepass")
