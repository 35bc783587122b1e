import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import NotConfigured
from connector.security.sealing import Sealer, parse_key

pytestmark = pytest.mark.unit

OLD, NEW, OTHER = bytes(range(32)), b"\xff" * 32, b"\x00" * 32


@given(st.binary())
def test_what_is_sealed_opens_again(plain: bytes) -> None:
    sealed = Sealer([OLD]).seal(plain)
    assert Sealer([OLD]).open(sealed) == plain


def test_the_seal_hides_the_content_and_differs_each_time() -> None:
    sealer = Sealer([OLD])
    first, second = sealer.seal(b"session-token"), sealer.seal(b"session-token")
    assert first != second
    assert b"session-token" not in base64.urlsafe_b64decode(first)


def test_the_first_key_seals_and_all_open() -> None:
    before = Sealer([OLD]).seal(b"before")
    rotated = Sealer([NEW, OLD])
    assert rotated.open(before) == b"before"
    assert Sealer([NEW]).open(rotated.seal(b"after")) == b"after"
    with pytest.raises(NotConfigured):
        Sealer([OLD]).open(rotated.seal(b"after"))


def test_an_unknown_key_is_refused_by_the_name_of_the_setting() -> None:
    with pytest.raises(NotConfigured, match="CONNECTOR_ENCRYPTION_KEY") as caught:
        Sealer([OTHER, NEW]).open(Sealer([OLD]).seal(b"kept secret"))
    assert "kept secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("position", [0, 10, -1])
def test_a_changed_byte_is_noticed(position: int) -> None:
    sealed = bytearray(Sealer([OLD]).seal(b"content"))
    sealed[position] ^= 1
    with pytest.raises(NotConfigured):
        Sealer([OLD]).open(bytes(sealed))


@pytest.mark.parametrize("keys", [[], [b"short"], [OLD, OLD + b"x"]])
def test_a_sealer_needs_good_keys(keys: list[bytes]) -> None:
    with pytest.raises(ValueError):
        Sealer(keys)


@given(st.binary(min_size=32, max_size=32))
def test_keys_are_read_in_both_alphabets_with_and_without_padding(key: bytes) -> None:
    for text in (base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()):
        assert parse_key(text) == key
        assert parse_key(f" {text.rstrip('=')}\n") == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        "schlüssel",
        base64.b64encode(os.urandom(31)).decode(),
        base64.b64encode(os.urandom(33)).decode(),
        os.urandom(32).hex(),
    ],
)
def test_a_bad_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes in base64") as caught:
        parse_key(text)
    assert not text or text not in str(caught.value)
    assert caught.value.__cause__ is None


def test_keys_that_changed_are_seen_and_those_known_before_still_open() -> None:
    keys = [OLD]
    running = Sealer(keys, lambda: keys)
    before = running.seal(b"before")
    keys = [NEW]
    assert running.open(Sealer([NEW]).seal(b"by another process")) == b"by another process"
    assert Sealer([NEW]).open(running.seal(b"after")) == b"after"
    assert running.open(before) == b"before"
    assert not running.is_first(before)
    assert running.is_first(running.seal(b"after"))


@pytest.mark.parametrize("error", [FileNotFoundError(), ValueError()])
def test_keys_that_cannot_be_read_again_leave_those_in_memory(error: Exception) -> None:
    def fail() -> list[bytes]:
        raise error

    running = Sealer([OLD], fail)
    assert running.open(running.seal(b"content")) == b"content"
    with pytest.raises(NotConfigured):
        running.open(Sealer([NEW]).seal(b"content"))
