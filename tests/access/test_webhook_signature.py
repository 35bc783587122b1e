"""Only the holder of a secret gets past `verify`, whatever the header is called, and nothing makes it raise."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.security.webhook_signature import (
    SCHEMES,
    Headers,
    SignatureRefused,
    Verified,
    signing_keys,
    verify,
)

pytestmark = pytest.mark.unit

KEY = b"a secret of the tests"
BODY = b'{"event":"interview.analysis_ready","interview_id":"int-1"}'
NOW = 1_795_000_000.0


def mac(message: bytes, key: bytes = KEY) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def b64(raw: bytes) -> bytes:
    return base64.b64encode(raw)


def timestamped(at: int = int(NOW), body: bytes = BODY) -> bytes:
    return b"t=%d,v1=%s" % (at, mac(b"%d." % at + body).hex().encode())


def standard(
    at: int = int(NOW), prefix: bytes = b"webhook", header: bytes = b"webhook-signature"
) -> list[tuple[bytes, bytes]]:
    value = b"v1," + b64(mac(b"msg_1.%d." % at + BODY))
    return [(prefix + b"-id", b"msg_1"), (prefix + b"-timestamp", b"%d" % at), (header, value)]


def check(
    headers: Headers,
    *,
    keys: Sequence[bytes] = (KEY,),
    scheme: str = "auto",
    header: str | None = None,
    tolerance: int = 300,
    body: bytes = BODY,
    now: float = NOW,
) -> Verified | SignatureRefused:
    return verify(
        body, headers, keys=keys, scheme=scheme, header=header, tolerance_seconds=tolerance, now=now
    )


HEX = mac(BODY).hex().encode()
CASES = [
    pytest.param([(b"x-koji-signature", HEX)], "hex", None, id="hex"),
    pytest.param([(b"x-koji-signature", HEX.upper())], "hex", None, id="upper-case hex"),
    pytest.param([(b"x-koji-signature", b"sha256=" + HEX)], "hex", None, id="prefixed hex"),
    pytest.param(
        [(b"x-koji-signature", b"SHA256=" + HEX.upper())], "hex", None, id="upper-case prefixed hex"
    ),
    pytest.param([(b"x-koji-signature", b" " + HEX + b" ")], "hex", None, id="hex between blanks"),
    pytest.param([(b"x-koji-signature", b64(mac(BODY)))], "base64", None, id="base64"),
    pytest.param([(b"x-koji-signature", b64(mac(BODY)).rstrip(b"="))], "base64", None, id="unpadded base64"),
    pytest.param([(b"x-koji-signature", timestamped())], "timestamped", int(NOW), id="timestamped"),
    pytest.param(
        [(b"x-koji-signature", b", ".join([b"v1=" + b"0" * 64, *reversed(timestamped().split(b","))]))],
        "timestamped",
        int(NOW),
        id="timestamped, other order, two v1",
    ),
    pytest.param(standard(), "standard-webhooks", int(NOW), id="standard webhooks"),
    pytest.param(
        standard(prefix=b"svix", header=b"svix-signature"), "standard-webhooks", int(NOW), id="svix headers"
    ),
    pytest.param(standard(header=b"x-koji-signature"), "standard-webhooks", int(NOW), id="in another header"),
    pytest.param(
        [*standard()[:2], (b"webhook-signature", b"v1a,zz v1,%s " % b64(b"0" * 32) + standard()[2][1])],
        "standard-webhooks",
        int(NOW),
        id="standard webhooks, several signatures",
    ),
]


@pytest.mark.parametrize(("headers", "scheme", "timestamp"), CASES)
def test_every_scheme_is_found_by_its_shape(headers: Headers, scheme: str, timestamp: int | None) -> None:
    noise = [(b"host", b"connector.example.com"), (b"authorization", b"Bearer " + b"x" * 36)]
    found = check([*noise, *headers])
    assert isinstance(found, Verified)
    assert (found.scheme, found.key, found.timestamp) == (scheme, KEY, timestamp)
    assert found.header == headers[-1][0].decode()


@pytest.mark.parametrize(("headers", "scheme", "timestamp"), CASES)
def test_a_pinned_scheme_accepts_itself_only(headers: Headers, scheme: str, timestamp: int | None) -> None:
    accepted = [name for name in SCHEMES[1:] if isinstance(check(headers, scheme=name), Verified)]
    assert accepted == [scheme]


@pytest.mark.parametrize(("headers", "scheme", "timestamp"), CASES)
@given(at=st.integers(0, len(BODY) - 1), flip=st.integers(1, 255))
def test_no_byte_of_the_body_may_change(
    headers: Headers, scheme: str, timestamp: int | None, at: int, flip: int
) -> None:
    body = bytearray(BODY)
    body[at] ^= flip
    found = check(headers, body=bytes(body))
    assert isinstance(found, SignatureRefused)
    assert found.attempts
    assert not found.stale


@pytest.mark.parametrize(("headers", "scheme", "timestamp"), CASES)
def test_another_key_does_not_do(headers: Headers, scheme: str, timestamp: int | None) -> None:
    assert isinstance(check(headers, keys=(b"another secret",)), SignatureRefused)
    assert isinstance(check(headers, keys=()), SignatureRefused)


def test_the_key_that_matched_is_named() -> None:
    found = check([(b"x-sig", HEX)], keys=(b"new", KEY, b"old"))
    assert isinstance(found, Verified)
    assert found.key == KEY


def test_a_pinned_header_is_the_only_one_looked_at() -> None:
    headers = [(b"x-other", HEX), (b"X-Koji-Signature", b"0" * 64)]
    found = check(headers, header="x-koji-signature")
    assert isinstance(found, SignatureRefused)
    assert [attempt.header for attempt in found.attempts] == ["x-koji-signature"]


def test_every_occurrence_of_a_pinned_header_is_tried() -> None:
    headers = [(b"x-koji-signature", b"short"), (b"x-koji-signature", b"0" * 64), (b"x-koji-signature", HEX)]
    assert isinstance(check(headers, header="X-Koji-Signature"), Verified)


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ([], "this header was not sent"),
        ([(b"x-sig", b"guess")], "5 bytes that have not the shape of a signature of this scheme"),
        ([(b"x-sig", b"a" * 5000)], "5000 bytes that have not the shape of a signature of this scheme"),
        ([(b"x-sig", b"0" * 64)], "HMAC-SHA256 over the body matches none of 1 keys"),
        ([(b"x-sig", b"t=now,v1=" + HEX)], "t is not a Unix time in whole seconds"),
        ([(b"x-sig", b"t=1795000000000,v1=" + HEX)], "t is not a Unix time in whole seconds"),
        ([(b"x-sig", standard()[2][1])], "webhook-id and webhook-timestamp were not both sent"),
        (
            [(b"x-sig", standard()[2][1]), (b"svix-id", b"1"), (b"svix-timestamp", b"soon")],
            "svix-timestamp is not a Unix time in whole seconds",
        ),
    ],
)
def test_a_refusal_says_why_in_words(headers: Headers, why: str) -> None:
    found = check(headers, header="x-sig")
    assert isinstance(found, SignatureRefused)
    assert [attempt.why for attempt in found.attempts] == [why]


@pytest.mark.parametrize(
    ("age", "why"),
    [
        (412, "timestamp 412 s old, tolerance 300"),
        (-301, "timestamp 301 s in the future, tolerance 300"),
    ],
)
@pytest.mark.parametrize("sign", [lambda at: [(b"x-sig", timestamped(at))], standard])
def test_a_true_but_stale_signature_is_refused(sign: Callable[[int], Headers], age: int, why: str) -> None:
    found = check(sign(int(NOW) - age))
    assert isinstance(found, SignatureRefused)
    assert found.stale
    assert [attempt.why for attempt in found.attempts] == [why]


@pytest.mark.parametrize("age", [300, -300, 0])
def test_the_tolerance_is_inclusive(age: int) -> None:
    assert isinstance(check([(b"x-sig", timestamped(int(NOW) - age))]), Verified)


def test_tolerance_zero_turns_the_check_off() -> None:
    assert isinstance(check([(b"x-sig", timestamped(1))], tolerance=0), Verified)


def test_an_old_forgery_is_not_called_stale() -> None:
    found = check([(b"x-sig", b"t=1,v1=" + b"0" * 64)])
    assert isinstance(found, SignatureRefused)
    assert not found.stale


def test_a_whsec_secret_counts_literally_and_decoded() -> None:
    secret = "whsec_" + base64.b64encode(KEY).decode()
    assert signing_keys([secret]) == (secret.encode(), KEY)
    assert signing_keys([secret.rstrip("=")])[1] == KEY
    assert signing_keys(["whsec_ not base64", "plain", "plain"]) == (b"whsec_ not base64", b"plain")


def test_an_empty_secret_opens_nothing() -> None:
    assert signing_keys(["", "whsec_"]) == (b"whsec_",)
    assert isinstance(check([(b"x-sig", mac(BODY, b"").hex().encode())], keys=(b"",)), SignatureRefused)


def test_work_is_bounded_whatever_is_sent() -> None:
    body = b"x" * 1_000_000
    line = b"t=%d,v1=" + b",v1=".join([b"0" * 64] * 25)
    headers = [(b"x-%d" % n, line % n) for n in range(1000)]
    started = time.process_time()
    found = check(headers, body=body)
    assert time.process_time() - started < 1
    assert isinstance(found, SignatureRefused)
    assert len(found.attempts) == 9
    assert found.attempts[-1].why.startswith("not tried")


def test_a_refusal_never_shows_a_value() -> None:
    shown = repr(check([(b"x-sig", HEX), *standard(int(NOW) - 1000)], keys=(b"another", KEY), body=b"{}"))
    assert HEX.decode() not in shown
    assert standard(int(NOW) - 1000)[2][1].decode() not in shown
    assert "another" not in shown


texts = st.binary(max_size=80) | st.sampled_from(
    [HEX, b"sha256=" + HEX[:-1], b64(mac(BODY)), timestamped(), b"t=1,v1=", b"v1,", b"v1,=", b"t=,v1=0"]
)
names = st.binary(max_size=20) | st.sampled_from([b"webhook-id", b"webhook-timestamp", b"svix-id", b"x-sig"])


@given(
    body=st.just(BODY) | st.binary(max_size=200),
    headers=st.lists(st.tuples(names, texts), max_size=12),
    keys=st.lists(st.just(KEY) | st.binary(max_size=40), max_size=3),
    scheme=st.sampled_from([*SCHEMES, "rot13"]),
    header=st.none() | st.text(max_size=10) | st.just("x-sig"),
    tolerance=st.integers(0, 10**6),
    now=st.floats(allow_nan=True),
)
def test_only_a_true_mac_verifies_and_nothing_raises(
    body: bytes,
    headers: Headers,
    keys: list[bytes],
    scheme: str,
    header: str | None,
    tolerance: int,
    now: float,
) -> None:
    found = check(headers, keys=keys, scheme=scheme, header=header, tolerance=tolerance, body=body, now=now)
    if isinstance(found, Verified):
        assert found.key in keys
        carried = b" ".join(
            value for name, value in headers if name.decode("latin-1").lower() == found.header
        )
        times = [b"%d." % found.timestamp] if found.timestamp is not None else [b""]
        ids = [value.strip() + b"." for name, value in headers if name.lower().endswith(b"-id")]
        true = [mac(before + at + body, found.key) for at in times for before in [b"", *ids]]
        assert any(one.hex().encode() in carried.lower() or b64(one)[:43] in carried for one in true)


@given(st.lists(st.text(max_size=30) | st.text(max_size=30).map("whsec_".__add__)))
def test_any_secret_makes_keys(secrets: list[str]) -> None:
    keys = signing_keys(secrets)
    assert len(set(keys)) == len(keys)
    assert all(keys)
    assert {secret.encode() for secret in secrets if secret} <= set(keys)
