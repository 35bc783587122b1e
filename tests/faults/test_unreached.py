"""A call that brings no answer: the message names host, cause and setting, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connector.amplitude.cohorts import AmplitudeCohortsClient
from connector.amplitude.ingestion import AmplitudeIngestion
from connector.errors import UpstreamUnavailable
from connector.koji.client import KojiClient
from connector.net.client import open_client
from tests.support.certificate import own_certificate

pytestmark = pytest.mark.contract

NO_NAME = "https://koji.invalid"
UNUSED = "http://127.0.0.1:1"


@asynccontextmanager
async def koji(url: str) -> AsyncIterator[KojiClient]:
    async with open_client() as client:
        yield KojiClient(client, url, "key")


async def unavailable(url: str) -> UpstreamUnavailable:
    async with koji(url) as client:
        with pytest.raises(UpstreamUnavailable) as raised:
            await client.read("int-1")
    return raised.value


async def test_a_name_that_does_not_exist_is_not_to_be_tried_again_later() -> None:
    error = await unavailable(NO_NAME)
    assert error.message == (
        "Koji could not be reached: the name koji.invalid does not resolve; "
        "check KOJI_BASE_URL and this machine's network."
    )
    assert error.retry_after is None


async def test_a_refused_connection_names_host_and_port() -> None:
    error = await unavailable(UNUSED)
    assert "127.0.0.1:1 refused the connection" in error.message
    assert error.retry_after


async def test_silence_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.net.client._DEADLINE_SECONDS", 0.1)
    released = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await unavailable(f"http://127.0.0.1:{port}")
        released.set()
    assert f"127.0.0.1:{port} did not answer in time; try again later" in error.message


# asyncio may drop the server's side of a failed handshake before it is closed
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_certificate_that_cannot_be_trusted_is_named(tmp_path: Path) -> None:
    async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0, ssl=own_certificate(tmp_path))
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await unavailable(f"https://127.0.0.1:{port}")
    assert f"the certificate of 127.0.0.1:{port} is not valid (self-signed certificate)" in error.message
    assert error.retry_after is None


async def test_a_server_without_tls_is_named() -> None:
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await unavailable(f"https://127.0.0.1:{port}")
    assert f"127.0.0.1:{port} does not speak TLS" in error.message


async def test_amplitude_says_the_same_of_its_hosts() -> None:
    async with open_client() as client:
        answer = await AmplitudeIngestion(client, NO_NAME, "key", 5).send(["{}"], ["u"])
        with pytest.raises(UpstreamUnavailable) as raised:
            await AmplitudeCohortsClient(client, NO_NAME, "key", "secret").listed()
    for message, setting in (
        (answer.message, "AMPLITUDE_INGESTION_URL"),
        (raised.value.message, "AMPLITUDE_REST_URL"),
    ):
        assert "the name koji.invalid does not resolve" in message
        assert setting in message
        assert "later" not in message
