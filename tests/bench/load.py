"""A load generator in a process of its own: prepared requests over keep-alive connections, in a closed loop.

Prints one JSON line: requests, seconds, errors, and latencies in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import cast

import uvloop

SECRET = "bench-webhook-secret"
_PADDING = "What the respondent said, in so many words, as Koji's webhook carries it. "


def webhook(prefix: str, number: int, size: int) -> bytes:
    """Return the body of one complete webhook of about `size` bytes."""
    event = {
        "event": "interview.analysis_ready",
        "interview_id": f"{prefix}-{number:07d}",
        "respondent_email": f"person-{number:07d}@example.com",
        "themes": ["pricing confusion", "slow import", "unclear next step"],
        "sentiment": ("positive", "negative", "neutral", "mixed")[number % 4],
        "quality_score": 3 + (number % 20) / 10,
        "transcript_url": f"https://koji.example.com/transcripts/{prefix}-{number:07d}",
        "completed_at": f"2026-11-{1 + number % 20:02d}T10:{number % 60:02d}:00Z",
    }
    room = max(0, size - len(json.dumps(event)) - len(', "summary": ""'))
    event["summary"] = (_PADDING * (room // len(_PADDING) + 1))[:room]
    return json.dumps(event).encode()


def request(host: str, port: int, body: bytes) -> bytes:
    """Return one signed request as it goes over the wire."""
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        f"POST /webhooks/koji HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        f"User-Agent: bench\r\nAccept: */*\r\nX-Koji-Signature: sha256={signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Client(asyncio.Protocol):
    """One connection that sends its next request when the answer to the last one is complete."""

    def __init__(self, requests: Iterator[bytes], latencies: list[float], until: float) -> None:
        self._requests = requests
        self._latencies = latencies
        self._until = until
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.errors = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but ancestry
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.errors += 1
            self.done.set_result(None)

    def _next(self) -> None:
        assert self._transport is not None
        following = next(self._requests, None)
        if following is None or time.perf_counter() >= self._until:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(following)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r\n", at) if b"\r\n" in head[at:] else len(head)])
        if len(self._buffer) < end + 4 + length:
            return
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            self.errors += 1
        self._buffer = self._buffer[end + 4 + length :]
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._next()


async def run(
    host: str, port: int, connections: int, seconds: float, prepared: list[bytes]
) -> dict[str, float]:
    """Send prepared requests for at most `seconds`; return what was measured."""
    latencies: list[float] = []
    requests = iter(prepared)
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: _Client(requests, latencies, started + seconds), host, port
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    elapsed = time.perf_counter() - started
    latencies.sort()

    def at(share: float) -> float:
        return (
            round(latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000, 2)
            if latencies
            else 0.0
        )

    return {
        "requests": len(latencies),
        "seconds": round(elapsed, 3),
        "per_second": round(len(latencies) / elapsed),
        "errors": sum(client.errors for client in clients),
        "p50_ms": at(0.50),
        "p99_ms": at(0.99),
    }


async def run_paced(host: str, port: int, per_second: float, prepared: list[bytes]) -> dict[str, float]:
    """Send prepared requests at an even pace over eight connections; return what was measured."""
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    started = loop.time()
    pairs = [await asyncio.open_connection(host, port) for _ in range(8)]

    async def lane(number: int) -> None:
        reader, writer = pairs[number]
        for i in range(number, len(prepared), len(pairs)):
            await asyncio.sleep(max(0.0, started + i / per_second - loop.time()))
            sent_at = time.perf_counter()
            writer.write(prepared[i])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            latencies.append(time.perf_counter() - sent_at)
        writer.close()

    await asyncio.gather(*(lane(number) for number in range(len(pairs))))
    latencies.sort()
    return {"requests": len(latencies), "p50_ms": round(latencies[len(latencies) // 2] * 1000, 2)}


def main() -> None:
    """Prepare, wait for a line on standard input, send, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--prefix", default="bench")
    parser.add_argument("--thin", action="store_true", help="only event and interview id: Koji must be read")
    parser.add_argument("--pace", type=float, default=0, help="requests a second; 0 is as fast as answered")
    given = parser.parse_args()
    prepared = []
    for number in range(given.requests):
        body = webhook(given.prefix, number, given.size)
        if given.thin:
            body = json.dumps(
                {"event": "interview.analysis_ready", "interview_id": f"{given.prefix}-{number}"}
            ).encode()
        prepared.append(request(given.host, given.port, body))
    print("ready", flush=True)
    input()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if given.pace:
            result = runner.run(run_paced(given.host, given.port, given.pace, prepared))
        else:
            result = runner.run(run(given.host, given.port, given.connections, given.seconds, prepared))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
