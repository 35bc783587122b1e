"""Messages of the cohort webhook with many people each, several at a time: when is each on disk and answered?"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.bench.children import connector, free_port, settings

_TOKEN = "bench-cohort-token"
_ROUTE = "/webhooks/amplitude/cohorts"


def measure(root: Path, people: int, at_once: int, turns: int, database_url: str | None = None) -> None:
    """Print how long messages take that come `at_once`, as whoever sends them sees it."""
    directory = root / f"cohorts-{'file' if database_url is None else 'server'}"
    directory.mkdir()
    port = free_port()
    url = database_url or f"sqlite:///{directory}/ledger.db"
    environ = settings(port, url, AMPLITUDE_COHORT_WEBHOOK_TOKEN=_TOKEN)
    bodies = [_body(number, people) for number in range(at_once * turns)]
    with connector(port, environ, directory), ThreadPoolExecutor(at_once) as senders:
        took = list(senders.map(lambda body: _send(port, body), bodies))
    size = len(bodies[0]) / 1_000_000
    print(
        f"  {len(took)} cohort messages of {people:,} people ({size:.1f} MB), {at_once} at a time, workers on: "
        f"median {statistics.median(took):.0f} ms, slowest {max(took):.0f} ms"
    )


def _body(number: int, people: int) -> bytes:
    rows = [
        {
            "user_id": f"user-{number:02}-{n:06}",
            "user_properties": {"email": f"person-{number:02}-{n:06}@example.com", "name": f"Person {n}"},
        }
        for n in range(people)
    ]
    told = {
        "cohort_name": "Bench",
        "cohort_id": f"bench-{number % 3}",
        "in_cohort": True,
        "computed_time": str(1_790_000_000 + number),
        "message_id": f"bench::enter::{number}",
        "users": rows,
    }
    return json.dumps(told).encode()


def _send(port: int, body: bytes) -> float:
    with _connected(port) as connection:
        began = time.perf_counter()
        headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"}
        connection.request("POST", _ROUTE, body, headers)
        answer = connection.getresponse()
        answer.read()
        took = (time.perf_counter() - began) * 1_000
    assert answer.status == 200, answer.status
    return took


@contextmanager
def _connected(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    try:
        yield connection
    finally:
        connection.close()
