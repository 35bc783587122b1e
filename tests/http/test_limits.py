"""What strangers send on a raw socket, to the server as `serve` runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connector.http.server import limits
from connector.http.server.server import LARGEST_HEAD, config
from tests.support.harness import TOKEN, World, open_world, serving, sign

pytestmark = pytest.mark.e2e

AUTHORIZED = f"Authorization: Bearer {TOKEN}\r\n".encode()
PING = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def door(world: World) -> AsyncIterator[int]:
    """Serve a world's application through the protocol of `serve`; yield the port."""
    async with serving(world.app, config(world.app, "127.0.0.1", 0)) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    async with open_world(tmp_path, workers=False) as world, door(world) as found:
        yield found


async def told(port: int, *pieces: bytes, seconds: float = 60) -> bytes:
    """Send the pieces; return all that comes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(seconds):
            try:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
            except ConnectionError:
                pass
            found = b""
            try:
                while piece := await reader.read(65_536):
                    found += piece
            except ConnectionError:
                pass
            return found
    finally:
        writer.close()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def post(path: str, *headers: bytes, body: bytes = b"") -> bytes:
    told_length = b"Content-Length: %d\r\n" % len(body)
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % path.encode()
    return head + b"".join(headers) + told_length + b"\r\n" + body


def endless(start: bytes, piece: bytes, times: int = 40) -> Iterator[bytes]:
    yield start
    for _ in range(times):
        yield piece


HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST /webhooks/koji HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        list(endless(HEAD + b"X-Long: ", b"a" * 50_000)),
        list(endless(HEAD, b"X-Name: a\r\n" * 100)),
        list(endless(b"GET /", b"a" * 50_000)),
        [HEAD + b"X-Long: " + b"a" * LARGEST_HEAD + b"\r\n\r\n"],
        [HEAD + b"X-Name: a\r\n" * 200 + b"\r\n"],
        list(endless(CHUNKED + b"1\r\n{\r\n0\r\nX-Trailer: ", b"a" * 50_000)),
        list(endless(CHUNKED + b"1\r\n{\r\n0\r\n", b"X-Trailer: a\r\n" * 100)),
    ],
    ids=["value", "count", "path", "one long head", "one head of many", "trailer", "trailers"],
)
async def test_a_head_without_measure_is_refused(port: int, pieces: list[bytes]) -> None:
    assert status(await told(port, *pieces)) in {400, 431}
    assert status(await told(port, PING)) == 200


async def test_a_large_body_in_the_same_piece_is_no_large_head(port: int) -> None:
    answer = await told(port, post("/actions/list_syncs", AUTHORIZED, body=b" " * 900_000 + b"{}"))
    assert status(answer) == 200


@pytest.mark.parametrize("path", ["/webhooks/koji", "/actions/list_syncs"])
async def test_a_chunked_body_ends_at_the_limit(port: int, path: str) -> None:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\n%bTransfer-Encoding: chunked\r\n\r\n" % (
        path.encode(),
        AUTHORIZED,
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    for _ in range(21):
        writer.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
    assert status(await asyncio.wait_for(reader.readline(), 60)) == 413
    writer.close()


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD],
        [b""],
        [post("/webhooks/koji", body=b"{}")[:-1]],
        [post("/actions/list_syncs", AUTHORIZED, body=b"{}")[:-1]],
    ],
    ids=["head", "nothing", "webhook", "action"],
)
async def test_who_trickles_is_sent_away_and_holds_up_nobody(
    port: int, pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(limits, "_LOOK_SECONDS", 0.05)
    slow = asyncio.create_task(told(port, *pieces))
    assert status(await told(port, PING)) == 200
    assert b"408 Request Timeout" in await slow


@pytest.mark.parametrize("second", [AUTHORIZED, b"Authorization: Bearer other\r\n"])
async def test_two_authorizations_are_none(port: int, second: bytes) -> None:
    answer = await told(port, post("/actions/list_syncs", AUTHORIZED, second, body=b"{}"))
    assert status(answer) == 400
    assert b'"code":"duplicate_header"' in answer.replace(b": ", b":")


async def test_a_true_signature_counts_wherever_it_stands(port: int) -> None:
    body = b'{"event": "interview.completed", "interview_id": "int-1"}'
    true = b"".join(f"{name}: {value}\r\n".encode() for name, value in sign(body).items())
    false = b"X-Koji-Signature: " + b"0" * 64 + b"\r\n"
    for signed in ((true,), (true, false), (false, true)):
        assert status(await told(port, post("/webhooks/koji", *signed, body=body))) == 200
    assert status(await told(port, post("/webhooks/koji", false, false, body=body))) == 401
