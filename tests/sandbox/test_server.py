from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from amplitude import Amplitude, BaseEvent, Config, EventOptions, Identify

from connector.sandbox import SandboxOptions
from tests.support.sandbox_server import running

from .conftest import event

pytestmark = pytest.mark.e2e


@pytest.fixture
def base() -> Iterator[str]:
    with running(SandboxOptions()) as url:
        yield url


@contextlib.contextmanager
def caller(base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base, trust_env=False, verify=False) as client:
        yield client


def ingestion(*events: dict[str, Any]) -> dict[str, Any]:
    return {"api_key": "sandbox-amplitude-key", "events": list(events)}


def test_the_official_sdk_is_accepted_and_its_events_are_stored(base: str) -> None:
    answers: list[tuple[str, int]] = []
    config = Config(
        server_url=f"{base}/amplitude/2/httpapi",
        flush_interval_millis=500,
        callback=lambda sent, code, _message=None: answers.append((sent.event_type, code)),
    )
    sdk = Amplitude("sandbox-amplitude-key", config)
    options = EventOptions(user_id="person-001@example.com")
    identify = Identify()
    identify.set("last_interview_sentiment", "negative")
    identify.append("last_interview_themes", "slow import")
    identify.add("interviews", 1)
    sdk.identify(identify, options)
    sdk.track(
        BaseEvent(
            "koji.interview_completed", "person-001@example.com", event_properties={"themes": ["a", "b"]}
        )
    )
    for flushed in sdk.flush():
        flushed.result(timeout=10)
    sdk.shutdown()
    for thread in threading.enumerate():
        if thread.name.endswith("(buffer_consumer)"):
            thread.join(15)
    assert answers == [("$identify", 200), ("koji.interview_completed", 200)]
    with caller(base) as client:
        stored = client.get("/control/amplitude/events").json()["events"]
    assert [row["event_type"] for row in stored] == ["$identify", "koji.interview_completed"]
    assert stored[1]["event_properties"] == {"themes": ["a", "b"]}
    assert stored[1]["user_properties"] == {
        "last_interview_sentiment": "negative",
        "last_interview_themes": ["slow import"],
        "interviews": 1,
    }


@pytest.mark.parametrize(("kind", "kept"), [("cut", 0), ("cut_after_accept", 1)])
def test_a_cut_answer_breaks_the_connection(base: str, kind: str, kept: int) -> None:
    with caller(base) as client:
        client.post("/control/amplitude/faults", json={"kind": kind})
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/amplitude/2/httpapi", json=ingestion(event()))
        state = client.get("/control/state").json()["amplitude"]
        assert state["events_stored"] == kept
        assert client.get("/control/amplitude/requests").json()["requests"][0]["status"] is None
        assert client.post("/amplitude/2/httpapi", json=ingestion(event())).status_code == 200


def test_webhooks_reach_a_server_and_a_refused_connection_is_logged(base: str) -> None:
    with running() as receiver, caller(base) as client:
        refused = client.put("/control/koji/webhook", json={"url": f"{receiver}/amplitude/nothing"})
        assert refused.status_code == 422
        assert "400" in refused.json()["error"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with caller(base) as client:
        refused = client.put("/control/koji/webhook", json={"url": f"http://127.0.0.1:{port}/"})
        assert refused.status_code == 422
        deliveries = client.get("/control/koji/deliveries").json()["deliveries"]
        assert [(row["status"], row["error"]) for row in deliveries] == [(400, None), (None, "ConnectError")]


def test_the_command_tells_where_it_is_and_ends_on_a_signal() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "connector", "sandbox", "--port", str(port), "--no-throttle"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    seen: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        while (line := process.stdout.readline()) and "KOJI_API_KEY=" not in line:
            seen.append(line)
        assert f"Koji       http://127.0.0.1:{port}/koji\n" in seen
        assert "sandbox-koji-key" in line
        transport = httpx.HTTPTransport(retries=20)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=transport, trust_env=False, verify=False
        ) as client:
            assert client.get("/control/state").status_code == 200
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(10) == 0
