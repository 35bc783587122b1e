"""What strangers send on a raw socket, to the server as `serve` runs it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connector.http.server import limits, server
from connector.http.server.server import LARGEST_HEAD, config
from tests.support.harness import TOKEN, World, open_world, serving, sign, until

pytestmark = pytest.mark.e2e

AUTHORIZED = f"Authorization: Bearer {TOKEN}\r\n".encode()
PING = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def door(world: World) -> AsyncIterator[int]:
    """Serve a world's application through the protocol of `serve`; yield the port."""
    async with watched(world) as (port, _):
        yield port


@asynccontextmanager
async def watched(world: World) -> AsyncIterator[tuple[int, limits.Room]]:
    """Serve as `door`; yield the port, and what the connections share."""
    served = config(world.app, "127.0.0.1", 0)
    async with serving(world.app, served) as url:
        yield int(url.rpartition(":")[2]), served.http.keywords["room"]  # type: ignore[union-attr]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, workers=False) as opened:
        yield opened


@pytest.fixture
async def port(world: World) -> AsyncIterator[int]:
    async with door(world) as found:
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
    monkeypatch.setattr(limits, "_LAST_LOOK_SECONDS", 0.05)
    slow = asyncio.create_task(told(port, *pieces))
    assert status(await told(port, PING)) == 200
    assert b"408 Request Timeout" in await slow


async def test_a_body_has_time_by_its_length(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(limits, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(limits, "_LAST_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(limits, "SLOWEST", 1_000)
    head = post("/webhooks/koji", b"Content-Length: 700000\r\n").replace(b"Content-Length: 0\r\n", b"")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b" " * 600_000)  # as much as 600 seconds need
    assert b"408" in await told(port, head + b" " * 10)
    writer.write(b" " * 100_000)
    assert status(await reader.readline()) == 401
    writer.close()


async def test_what_came_fast_buys_a_minute_and_no_more(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(limits, "MOST_AHEAD_SECONDS", 0.1)
    monkeypatch.setattr(limits, "SLOWEST", 1_000)
    monkeypatch.setattr(limits, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(limits, "_LAST_LOOK_SECONDS", 0.01)
    body = AUTHORIZED, b"Content-Length: 700000\r\n"
    head = post("/actions/list_syncs", *body).replace(b"Content-Length: 0\r\n", b"")
    assert b"408 Request Timeout" in await told(port, head, b" " * 600_000)


async def test_what_came_while_the_process_was_held_up_is_read_before_it_is_called_late(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS", -1)  # over at the first look
    monkeypatch.setattr(limits, "_LOOK_SECONDS", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PING[:-1])
    await asyncio.sleep(0.1)
    writer.write(PING[-1:])
    assert status(await reader.readline()) == 200
    writer.close()


async def slow_body(
    port: int, size: int = 0, *headers: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Begin a webhook and send `size` bytes of its body, which goes on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST /webhooks/koji HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
    writer.write(head + b"".join(headers) + b"\r\n" + b" " * size)
    await writer.drain()
    return reader, writer


def signed() -> bytes:
    body = b'{"event": "interview.completed", "interview_id": "int-1"}'
    headers = b"".join(f"{name}: {value}\r\n".encode() for name, value in sign(body).items())
    return post("/webhooks/koji", headers, body=body)


async def test_strangers_never_shut_out_a_true_webhook_nor_fill_the_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_LOOK_SECONDS", 600)  # none is refused for being slow
    async with watched(world) as (port, room):
        slow = [await slow_body(port, 64_000) for _ in range(1_100)]

        async def arrived() -> bool:
            return bool(room.held[0] > limits.UNTRUSTED_BYTES * 0.9)

        await until(arrived)
        assert room.held[0] <= limits.UNTRUSTED_BYTES
        assert status(await told(port, signed())) == 200
        for reader, writer in slow[:10]:  # those that had waited longest
            assert status(await reader.readline()) == 503
            writer.close()
        for _, writer in slow:
            writer.close()

        async def left() -> bool:
            return not room.waiting

        await until(left)
        assert (room.held, room.addresses) == ([0, 0], {})


async def test_of_too_many_connections_the_slowest_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 8)
    async with door(world) as port:
        slow = [await slow_body(port) for _ in range(8)]
        assert status(await told(port, signed())) == 200
        assert status(await slow[0][0].readline()) == 503
        slow.append(await slow_body(port))
        slow.append(await slow_body(port))
        assert status(await slow[1][0].readline()) == 503
        for _, writer in slow:
            writer.close()


async def unread(port: int) -> socket.socket:
    """Ask for far more than buffers hold, and read none of it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", port))
    await loop.sock_sendall(connection, b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 40)
    return connection


def stuck(room: limits.Room) -> list[limits.BoundedProtocol]:
    return [one for one in room.waiting if one.transport.get_write_buffer_size()]


async def test_who_does_not_read_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNREAD_SECONDS", 0.1)
    monkeypatch.setattr(limits, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(limits, "_LAST_LOOK_SECONDS", 0.01)
    connections: set[object] = set()
    async with watched(world) as (port, room):
        with await unread(port):

            async def began() -> bool:
                connections.update(stuck(room))
                return bool(connections)

            async def ended() -> bool:
                return not any(one in one.connections for one in connections)  # type: ignore[attr-defined]

            await until(began)
            await until(ended)


async def test_the_limit_holds_for_connections_that_are_not_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 8)
    async with watched(world) as (port, room):
        idle = [await unread(port) for _ in range(8)]

        async def all_are_stuck() -> bool:
            return len(stuck(room)) == 8

        await until(all_are_stuck)
        open_ones = stuck(room)[0].connections
        for _ in range(3):
            assert status(await told(port, PING)) == 200

        async def fewer() -> bool:
            return len(open_ones) < 8

        await until(fewer)
        for connection in idle:
            connection.close()


async def test_requests_of_one_sender_that_wait_for_their_answer_shut_out_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRUSTED_BYTES", 200_000)
    monkeypatch.setattr(limits, "UNTRUSTED_BYTES", 60_000)
    waits = b'{"interview_ids": ["int-1"], "wait_seconds": 20}' + b" " * 40_000  # head and body are one piece
    cohort = b'{"cohort_id": "c", "in_cohort": false, "users": []}' + b" " * 40_000
    async with (
        open_world(tmp_path, workers=False, AMPLITUDE_COHORT_WEBHOOK_TOKEN="token") as world,
        watched(world) as (port, room),
    ):
        request = post("/actions/backfill_interviews", AUTHORIZED, body=waits)
        held = asyncio.create_task(told(port, request))

        async def arrived() -> bool:
            return room.held[1] > 40_000

        await until(arrived)
        assert [status(await told(port, request)) for _ in range(4)] == [503] * 4
        assert status(await told(port, post("/webhooks/amplitude/cohorts?token=token", body=cohort))) == 200
        assert not held.done()
        held.cancel()


async def test_known_senders_do_not_fill_the_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRUSTED_BYTES", 1_000_000)
    head = b"POST /actions/list_syncs HTTP/1.1\r\nHost: x\r\n%bContent-Length: 900000\r\n\r\n" % AUTHORIZED
    async with watched(world) as (port, room):

        async def begun() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            before = room.held[1]

            async def is_known() -> bool:
                writer.write(b" ")
                return room.held[1] > before

            await until(is_known)
            return reader, writer

        first, one = await begun()
        _, other = await begun()
        one.write(b" " * 600_000)
        other.write(b" " * 600_000)
        assert b"503" in await first.readline()
        assert b"retry-after: 5" in await first.readline()
        assert room.held[1] <= limits.TRUSTED_BYTES
        assert status(await told(port, post("/actions/list_syncs", AUTHORIZED, body=b"{}"))) == 200
        one.close()
        other.close()


async def test_an_address_behind_a_proxy_has_a_part_of_the_connections(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 8)
    async with door(world) as port:
        one = b"X-Forwarded-For: 2001:db8::%d\r\n"
        slow = [await slow_body(port, 10, one % number) for number in range(3)]

        async def third_is_refused() -> bool:
            for _, writer in slow:
                writer.write(b" ")
            refused = [reader.at_eof() or bool(reader._buffer) for reader, _ in slow]  # type: ignore[attr-defined]
            return any(refused)

        await until(third_is_refused)
        assert (
            status(await told(port, signed().replace(b"Host", b"X-Forwarded-For: 203.0.113.9\r\nHost")))
            == 200
        )
        for _, writer in slow:
            writer.close()


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
