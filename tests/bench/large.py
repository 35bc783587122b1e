"""Large requests beside webhooks: how long each call takes, and by how much it delays a webhook's 200."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import uuid
from pathlib import Path

from tests.bench.children import connector, free_port, sandbox, settings
from tests.bench.load import request, webhook

_PACE = 0.02  # seconds between two webhooks
_BYTES = 20 * 1024 * 1024
_IDS = 100_000


def _bodies() -> dict[str, tuple[str, dict[str, object]]]:
    person = {"user_id": "user-0000000", "email": "person-0000000@example.com", "name": "Person 0000000"}
    people = _BYTES // (len(json.dumps(person)) + 4)
    members = [
        {"user_id": f"user-{n:07d}", "email": f"person-{n:07d}@example.com", "name": f"Person {n:07d}"}
        for n in range(people)
    ]
    properties = [
        {"user_id": f"rich-{n:07d}", "properties": {"email": f"rich-{n}@example.com", "plan": "x" * 900}}
        for n in range(19_000)
    ]
    ids = [f"interview-{n:07d}" for n in range(_IDS)]
    rows = "\n".join(
        f"csv-{n:07d},2026-11-20T10:00:00Z,person-{n:07d}@example.com{' ' * 140}" for n in range(_IDS)
    )
    return {
        f"plan of {people:,} members": ("plan_cohort_launch", {"members": members}),
        "plan of 19,000 members with properties": ("plan_cohort_launch", {"members": properties}),
        f"backfill of {_IDS:,} ids": ("backfill_interviews", {"interview_ids": ids}),
        f"backfill of {_IDS:,} CSV rows": (
            "backfill_interviews",
            {"csv": f"interview_id,completed_at,email\n{rows}"},
        ),
        f"replay of {_IDS:,} syncs": ("replay_syncs", {"interview_ids": ids, "force": True}),
    }


def _call(port: int, operation: str, body: bytes) -> tuple[int, float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    started = time.perf_counter()
    headers = {"Authorization": "Bearer bench-token", "Content-Type": "application/json"}
    connection.request("POST", f"/actions/{operation}", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 400:
        print(text[:300])
    return answer.status, time.perf_counter() - started


async def _probe(port: int, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    prefix, number = uuid.uuid4().hex[:8], 0
    while True:
        sent_at = time.perf_counter()
        writer.write(request("127.0.0.1", port, webhook(prefix, number, 2_048)))
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        latencies.append(time.perf_counter() - sent_at)
        number += 1
        await asyncio.sleep(max(0.0, _PACE - latencies[-1]))


async def _measure(port: int, only: str) -> None:
    latencies: list[float] = []
    probing = asyncio.create_task(_probe(port, latencies))
    await asyncio.sleep(2)
    print(f"  quiet: {_told(latencies)}")
    for name, (operation, values) in _bodies().items():
        if only not in name:
            continue
        body = json.dumps(
            {**values, "allow_without_link": True, "wait_seconds": 0}
            if "plan" in name
            else {**values, "wait_seconds": 0}
        ).encode()
        latencies.clear()
        status, seconds = await asyncio.to_thread(_call, port, operation, body)
        during = _told(latencies)
        latencies.clear()
        await asyncio.sleep(10)
        print(
            f"  {name} ({len(body) / 1e6:.1f} MB): {status} after {seconds:.2f} s; {during}; then {_told(latencies)}",
            flush=True,
        )
    probing.cancel()


def _told(latencies: list[float]) -> str:
    ordered = sorted(latencies)
    middle, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return (
        f"webhooks p50 {middle * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, slowest {ordered[-1] * 1000:.0f} ms"
    )


def measure(root: Path, only: str = "") -> None:
    """Print the figures of each large call, with wait_seconds 0."""
    directory, port = root / "large", free_port()
    directory.mkdir()
    with sandbox(directory) as base:
        environ = settings(port, f"sqlite:///{directory}/ledger.db", base)
        with connector(port, environ, directory):
            asyncio.run(_measure(port, only))
