"""Addresses that others chose: what counts as public, and that a name cannot change its mind."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import Mock

import httpcore
import pytest

from connector.errors import InvalidInput
from connector.net import target_client
from connector.net.names import Names
from connector.net.target_client import (
    PrivateTarget,
    TargetClient,
    Targets,
    checked,
    encoded,
    is_public,
    wrong_with,
)
from tests.support.certificate import own_certificate

pytestmark = pytest.mark.unit

PRIVATE = (
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254",
    "100.64.0.1", "192.0.2.1", "224.0.0.1", "255.255.255.255", "168.63.129.16",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1",
    "64:ff9b:1::808:808", "2002:a00:1::", "2001:0:a00:1::", "no address", "",
    "::ffff:0:808:808", "::ffff:0:10.0.0.1", "192.88.99.1", "192.0.0.192", "192.0.0.8", "2002:c058:6301::", "fec0::1", "3fff::1", "5f00::1",
)  # fmt: skip
PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_outside_is_public(address: str) -> None:
    assert is_public(address)


def test_plain_http_is_for_private_targets() -> None:
    assert wrong_with("http://hooks.internal/x", allow_private=False)
    assert wrong_with("http://hooks.internal/x", allow_private=True) is None
    assert wrong_with("https://example.com/" + "x" * 2_048, allow_private=True)


async def test_plain_http_to_a_public_address_is_refused_and_never_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def addresses(_names: Names, _host: str, _asker: str) -> list[str]:
        return ["127.0.0.1", "8.8.8.8"]

    targets, client = Targets(allow_private=True), TargetClient(Names(most=1), allow_private=True)
    async with _listening(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (port, came):
        url = f"http://both.example.com:{port}/"
        await targets.require("target_url", f"http://127.0.0.1:{port}/", "a")
        monkeypatch.setattr(Names, "addresses", addresses)
        await targets.require("target_url", "https://both.example.com/", "a")
        with pytest.raises(InvalidInput, match="https://"):
            await targets.require("target_url", url, "a")
        with pytest.raises(PrivateTarget):
            await client.post(url, b"{}", {})
        assert came == []
    await client.close()


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ("https://example.com/café?q=ü%20#x", "https://example.com/caf%C3%A9?q=%C3%BC%20"),
        ("https://Bücher.example:8443", "https://xn--bcher-kva.example:8443/"),
        ("https://example.com./a%2Fb?c=%7B%7D", "https://example.com./a%2Fb?c=%7B%7D"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
    ],
)
def test_an_address_is_encoded(given: str, called: str) -> None:
    assert encoded(given) == called
    assert wrong_with(given, allow_private=True) is None


LONG = "a" * 64


@pytest.mark.parametrize(
    "url",
    [
        "https://a..com/",
        "https://.com/",
        f"https://{LONG}.com/",
        f"https://{'.'.join(['a' * 60] * 5)}/",
        "https://😀.example/",
        "https://xn--ü.example/",
        "https://[::1/",
        "https://a.com:99999/",
    ],
)
async def test_an_address_that_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await Targets(allow_private=True).require("target_url", url, "a")
    assert refused.value.errors[0].pointer == "/target_url"


@asynccontextmanager
async def _listening(
    answer: bytes, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Yield a port on this machine that answers so, and what came in."""
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read(65_536))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], came


async def test_a_name_that_leads_inside_at_the_second_look_is_not_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [["8.8.8.8"], ["127.0.0.1"], ["8.8.8.8", "10.0.0.1"]]

    async def addresses(_names: Names, _host: str, _asker: str) -> list[str]:
        return answers.pop(0)

    monkeypatch.setattr(Names, "addresses", addresses)
    client = TargetClient(Names(most=1), allow_private=False)
    async with _listening(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (port, came):
        assert await checked("rebinds.example.com", Names(1), allow_private=False) == ["8.8.8.8"]
        for _ in range(2):  # one private address among public ones is enough
            with pytest.raises(PrivateTarget):
                await client.post(f"http://rebinds.example.com:{port}/", b"{}", {})
        assert came == []
    await client.close()


async def test_a_redirect_is_an_answer_and_no_request() -> None:
    redirect = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    client = TargetClient(Names(most=1), allow_private=True)
    async with _listening(redirect) as (port, came):
        status, headers = await client.post(f"http://127.0.0.1:{port}/x", b"{}", {})
        assert (status, headers["location"]) == (307, "http://127.0.0.1:9/")
        assert len(came) == 1
    await client.close()


async def test_an_endless_answer_is_not_waited_for() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 20_000
    client = TargetClient(Names(most=1), allow_private=True)
    async with _listening(endless) as (port, _):
        status, _ = await client.post(f"http://127.0.0.1:{port}/", b"{}", {})
        assert status == 200
    await client.close()


async def test_what_is_called_is_encoded() -> None:
    client = TargetClient(Names(most=1), allow_private=True)
    async with _listening(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (port, came):
        status, _ = await client.post(f"http://127.0.0.1:{port}/café?q=ü", b"{}", {})
    assert status == 200
    assert came[0].startswith(b"POST /caf%C3%A9?q=%C3%BC HTTP/1.1\r\n")
    await client.close()


@pytest.fixture
def certificates_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mock]:
    """Forget what targets' certificates are held against; yield what counts how often it is read."""
    read = Mock(wraps=ssl.create_default_context)
    monkeypatch.setattr(ssl, "create_default_context", read)
    target_client._tls_context.cache_clear()
    yield read
    target_client._tls_context.cache_clear()


# asyncio may drop the server's side of a failed handshake before it is closed
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("trusted", [True, False])
async def test_certificates_are_checked_against_what_was_read_once(
    certificates_read: Mock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    tls = own_certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    clients = [TargetClient(Names(most=1), allow_private=True, connections=2) for _ in range(3)]
    async with _listening(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", tls) as (port, came):
        answers = await asyncio.gather(
            *(client.post(f"https://127.0.0.1:{port}/", b"{}", {}) for client in clients * 2),
            return_exceptions=True,
        )
    assert len(came) == (6 if trusted else 0)
    assert all(isinstance(answer, tuple if trusted else httpcore.ConnectError) for answer in answers)
    assert certificates_read.call_count == 1
    for client in clients:
        await client.close()
