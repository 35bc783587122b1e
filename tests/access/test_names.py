"""Names that others chose: one whose DNS is silent takes a thread of its own, and nobody else's time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import httpcore
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from connector.errors import InvalidInput, UpstreamUnavailable
from connector.koji.client import KojiClient
from connector.net import names
from connector.net.client import open_client
from connector.net.names import Crowded, Names
from connector.net.target_client import TargetClient, Targets
from tests.support.harness import serving, until
from tests.support.resolver import Resolver

pytestmark = pytest.mark.unit


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver(monkeypatch)
    monkeypatch.setattr(names, "SECONDS", 2.0)
    yield made
    made.released.set()
    for thread in threading.enumerate():
        if thread.name == "names":  # which the next test would share a lookup with
            thread.join(60)


async def test_forty_silent_names_delay_neither_koji_nor_another_target(resolver: Resolver) -> None:
    async def koji(_request: object) -> JSONResponse:
        return JSONResponse({"interview_id": "int-1", "status": "completed"})

    app = Starlette(routes=[Route("/{path:path}", koji, methods=["GET", "POST"])])
    targets = Targets(allow_private=True)
    silent = [
        targets.require("callback_url", f"https://{n}.silent.example/", f"caller {n % 5}") for n in range(40)
    ]
    refused = asyncio.gather(*silent, return_exceptions=True)
    client = TargetClient(Names(most=1), allow_private=True)
    async with serving(app) as address, open_client() as upstream, asyncio.timeout(20):
        url = address.replace("127.0.0.1", "localhost")
        await asyncio.sleep(0)  # all of them ask
        read = await KojiClient(upstream, url, "key").read("int-1")
        assert read["interview_id"] == "int-1"
        assert (await client.post(f"{url}/hook", b"{}", {}))[0] == 200
        answers = await refused  # though no lookup has ended
    assert Counter(map(type, answers)) == {InvalidInput: 32, UpstreamUnavailable: 8}
    assert sum(resolver.asked[f"{n}.silent.example"] for n in range(40)) == 32
    await client.close()


async def test_one_caller_leaves_room_for_others(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = Targets(allow_private=True)
    urls = [f"https://{n}.silent.example/" for n in range(9)]
    *_, last = await asyncio.gather(
        *(targets.require("target_url", url, "one") for url in urls), return_exceptions=True
    )
    assert isinstance(last, UpstreamUnavailable)
    assert (last.http_status, last.retry_after) == (503, 5)
    monkeypatch.setattr(names, "SECONDS", 60)
    await targets.require("target_url", "https://localhost/", "another")
    resolver.released.set()

    async def has_room() -> bool:
        try:
            await targets.require("target_url", "https://localhost/", "one")
        except UpstreamUnavailable:
            return False
        return True

    await until(has_room)


async def test_a_name_takes_one_thread_however_often_it_is_asked_for(resolver: Resolver) -> None:
    looked_up = Names(most=1)
    answers = await asyncio.gather(
        *(looked_up.addresses("a.silent.example") for _ in range(50)), return_exceptions=True
    )
    assert Counter(map(type, answers)) == {TimeoutError: 50}
    with pytest.raises(Crowded):
        await looked_up.addresses("localhost")
    client = TargetClient(looked_up, allow_private=True)
    with pytest.raises(httpcore.ConnectError):  # which is tried again later
        await client.post("https://localhost/", b"{}", {})
    await client.close()
    assert resolver.asked == {"a.silent.example": 1}


async def test_who_stops_waiting_takes_the_answer_from_nobody(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "SECONDS", 60)
    looked_up = Names(most=1)
    one, other = (asyncio.create_task(looked_up.addresses("a.silent.example")) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait([one])
    resolver.released.set()
    assert await other == ["127.0.0.1"]


def test_a_silent_name_does_not_hold_up_the_end_of_the_process() -> None:
    code = """
import asyncio, socket, threading
from connector.net import names
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
names.SECONDS = 0.1
try:
    asyncio.run(names.Names(most=1).addresses("a.silent.example"))
except TimeoutError:
    print("left")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert ended.stdout == b"left\n"
