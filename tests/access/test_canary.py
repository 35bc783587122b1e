"""Plant secrets, addresses and people's words everywhere, walk every path, and look for them where none belongs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from connector import log
from connector.cli.startup import secrets_of
from connector.demo import servers as demo_servers
from connector.http.server.server import config
from connector.sandbox import options as stand_ins
from tests.support.cli_runs import STARTED, Machine, free_port
from tests.support.harness import QUICK, TOKEN, World, message, open_world, serving, until
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.e2e

WORDS = "canary-words-of-a-respondent"
NAME = "Canaria Nightingale"
PERSON = "canary.person"
KOJI_KEY = "canary-koji-key-0001"
WEBHOOK_SECRET = "canary-webhook-secret-0001"
AMPLITUDE_KEY = "canary-amplitude-key-0001"
AMPLITUDE_SECRET = "canary-amplitude-secret-0001"
TARGET = "http://127.0.0.1:9/canary-address-of-a-subscriber"
ALERTS = "json://127.0.0.1:9/canary-address-of-alerts"
CALLBACK = "http://127.0.0.1:9/canary-address-of-a-callback"


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def address(number: int) -> str:
    return f"{PERSON}-{number}@example.com"


async def walk(world: World) -> list[str]:
    """Call everything in good and bad ways, with upstreams that answer and that fail; return error bodies."""
    errors: list[str] = []

    async def call(operation: str, **fields: Any) -> Any:
        answer = await world.call(operation, **fields)
        if answer.status_code >= 400:
            errors.append(answer.text)
        return answer.json()

    members = [{"email": address(n), "user_id": f"user-{n}", "name": NAME} for n in range(3)]
    await call("plan_cohort_launch", members=members)
    launched = await call("launch_cohort_interviews", members=members, metadata={"said": WORDS})
    await call("get_launch", launch_id=launched["launch_id"])
    await call("start_interview", email=address(7), name=NAME, idempotency_key=WORDS)
    await call("start_interview", email=address(8), name=NAME, idempotency_key=WORDS)
    await call("complete_interview", interview_id=address(1))
    await call("get_sync", interview_id=address(1))
    await call("list_syncs", cursor=address(1))
    await call("start_interview", email=f"{WORDS} {address(2)}", unknown=address(3))
    await world.client.post(f"/actions/get_sync?token={TOKEN}&x={address(4)}", content=f"{{{WORDS}")
    await world.client.get(f"/no/such/{address(4)}", headers={"Authorization": f"Bearer {KOJI_KEY}"})
    rows = {"jsonrpc": "2.0", "id": 1, "method": "sync_batch", "params": {"records": [{"email": address(6)}]}}
    await world.client.post(f"/integrations/census?census_authentication={TOKEN}", json=rows)

    said = {"themes": [WORDS], "summary": WORDS, "respondent_name": NAME}
    await world.send(message("int-1", respondent_email=address(1), **said), secret=WEBHOOK_SECRET)
    await world.send(message("int-2", respondent_email=address(2), **said), secret="canary-wrong-secret-0001")
    unreadable = f'{{"interview_id": "int-3", "said": "{WORDS}", "who": "{address(3)}"'.encode()
    await world.send(unreadable, secret=WEBHOOK_SECRET)
    await world.fault("amplitude", "status", status=400, body={"error": f"{WORDS} {address(1)}"})
    await world.send(message("int-4", respondent_email=address(4), **said), secret=WEBHOOK_SECRET)

    async def all_arrived() -> bool:
        world.move(61)
        found = (await world.get("list_syncs"))["items"]
        return bool(
            {"int-1", "int-4"} <= {one["interview_id"] for one in found if one["status"] != "pending"}
        )

    await until(all_arrived)
    for operation in (
        "get_sync",
        "get_interview_analysis",
        "preview_interview_sync",
        "sync_interview_to_amplitude",
    ):
        await call(operation, interview_id="int-1")
    await call("check_connection")
    await call("replay_syncs", interview_ids=["int-1", address(5)])
    return errors


def everything_in(folder: Path) -> bytes:
    """Return every byte of the database and its log."""
    with closing(sqlite3.connect(folder / "ledger.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return b"".join(one.read_bytes() for one in folder.glob("ledger.db*"))


async def test_logs_errors_and_the_store_give_nothing_away(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as traces, receiving() as alerts:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", traces.url)
        await walked(tmp_path, capfd, traces, alerts)


async def walked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], traces: Receiver, alerts: Receiver
) -> None:
    async with open_world(
        tmp_path,
        options=replace(
            QUICK,
            koji_api_key=KOJI_KEY,
            amplitude_api_key=AMPLITUDE_KEY,
            amplitude_secret_key=AMPLITUDE_SECRET,
        ),
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH="100",
        CONNECTOR_MAX_CREDITS_PER_DAY="100",
        KOJI_API_KEY=KOJI_KEY,
        KOJI_WEBHOOK_SECRET=WEBHOOK_SECRET,
        AMPLITUDE_API_KEY=AMPLITUDE_KEY,
        AMPLITUDE_SECRET_KEY=AMPLITUDE_SECRET,
        CONNECTOR_ALLOW_PRIVATE_TARGETS="true",
        CONNECTOR_ALERT_URLS=f"{alerts.url.replace('http:', 'json:')},{ALERTS}",
        CONNECTOR_DIGEST="weekly",
    ) as world:
        log.configure("debug", secrets=secrets_of(world.settings))
        # one line that must be there, so that an empty log proves nothing by itself
        structlog.get_logger().debug("walk_begins", secret_in_a_value=KOJI_KEY, who=address(9))
        hooked = await world.client.post("/hooks", json={"event": "interview_synced", "target_url": TARGET})
        owed = await world.call("start_interview", email=address(10), wait_seconds=0, callback_url=CALLBACK)
        errors = await walk(world)
        assert await world.context.ledger.callbacks.next_due() is not None
        for service in ("koji", "amplitude"):  # both refuse their key, in a respondent's words
            said = {"error": f"{WORDS} {address(1)} {NAME}", "message": f"{WORDS} {address(1)} {NAME}"}
            await world.fault(service, "status", status=401, times=None, body=said)
        await world.interview("int-8")
        await world.send({"interview_id": "int-8"}, secret=WEBHOOK_SECRET)
        await world.send(message("int-9", respondent_email=address(9)), secret=WEBHOOK_SECRET)
        titles = {"The week of default", "default is paused (koji_key)", "default is paused (amplitude_key)"}

        async def alerted() -> bool:
            return titles <= {one["title"] for one in alerts.bodies()}

        await until(alerted)
        metrics = (await world.client.get("/metrics")).text
        errors.append((await world.client.get("/readyz")).text)
        tokens = [one.session_token for one in world.sandbox.koji.store.interviews.values()]
    out, err = capfd.readouterr()
    logged = out + err
    assert "walk_begins" in logged
    assert len(tokens) >= 3
    kept = [
        KOJI_KEY,
        WEBHOOK_SECRET,
        AMPLITUDE_KEY,
        AMPLITUDE_SECRET,
        TOKEN,
        "canary-wrong-secret-0001",
        hooked.json()["secret"],
        owed.json()["callback_secret"],
        CALLBACK,
        ALERTS.removeprefix("json://"),
        *tokens,
    ]
    for canary in (*kept, WORDS, PERSON, NAME, TARGET):
        assert canary not in logged, canary
    assert "alert_not_sent" in logged
    assert "koji_amplitude_pauses" in metrics
    spans = b"".join(body for _, body in traces.got)
    assert b"amplitude.send" in spans
    sent = metrics.encode() + spans + b"".join(body for _, body in alerts.got)
    for canary in (*kept, WORDS, PERSON, NAME, "int-"):
        assert canary.encode() not in sent, canary
    assert errors
    for canary in (*kept, NAME):
        assert not [body for body in errors if canary in body], canary

    stored = everything_in(tmp_path)
    assert WORDS.encode() in stored  # the search finds what is there
    for canary in kept:
        assert canary.encode() not in stored, canary


QUERY_TOKEN = "canary-token-in-an-address-0001"
SPELT = [
    "?token=",
    "?to%6ben=",
    "?TOKEN=",
    "?%74%6F%6B%45%4E=",
    "?x=1&token=",
    "?x=1&t%6fken=",
    "?token[]=",
    "?census_authentication=",
    "?census%5Fauthentication=",
]
PLACES = [
    "/webhooks/koji",
    "/webhooks/amplitude/cohorts",
    "/integrations/census",
    "/actions/list_syncs",
    "/actions/list_audit",
    "/x",
]


async def test_a_token_in_an_address_is_in_no_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], logging_levels: None
) -> None:
    async with open_world(tmp_path, workers=False) as world:
        log.configure("debug", secrets=secrets_of(world.settings))
        async with serving(world.app, config(world.app, "127.0.0.1", 0)) as url:
            # uvicorn's own lines begin at warning; here they are all let through
            for name in ("uvicorn", "uvicorn.error", "httpx", "httpcore"):
                logging.getLogger(name).setLevel(logging.DEBUG)
            own = {"Authorization": f"Bearer {TOKEN}"}  # without it every refusal would be slower
            async with httpx.AsyncClient(base_url=url, trust_env=False, headers=own, verify=False) as client:
                for place in PLACES:
                    for spelt in SPELT:
                        address = f"{place}{spelt}{QUERY_TOKEN}"
                        logging.getLogger("a.library").warning("GET %s", address)
                        await client.get(address)
                        await client.post(address, content=b"{")
                        await client.request("BREW", address)
            await broken(url, f"GET /webhooks/koji?to%6ben={QUERY_TOKEN} HTTP/9.9\r\nno header\r\n\r\n")
            await broken(
                url, f"GET /webhooks/koji?token={QUERY_TOKEN} HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n"
            )
    out, err = capfd.readouterr()
    assert (out + err).count("/webhooks/amplitude/cohorts?to%6ben=[secret]") >= 1
    assert "Invalid HTTP request received" in out + err
    assert QUERY_TOKEN not in out + err


async def test_a_form_puts_nothing_into_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], logging_levels: None
) -> None:
    async with open_world(tmp_path, workers=False) as world:
        log.configure("debug")
        head = f'--b\r\nContent-Disposition: form-data; name="{WORDS}"; filename="{WORDS}"\r\n'
        for body in (
            f"{head}Content-Transfer-Encoding: {WORDS}\r\n\r\nx\r\n--b--",
            f"--b{WORDS}",
            f"{head}{WORDS}",
        ):
            for kind in ("multipart/form-data; boundary=b", f"multipart/form-data; x={WORDS}"):
                answer = await world.client.post(
                    "/actions/list_syncs", content=body, headers={"Content-Type": kind}
                )
                assert answer.status_code == 422
    out, err = capfd.readouterr()
    assert WORDS not in out + err


async def broken(url: str, head: str) -> None:
    """Send what is no whole request, and go away."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(head.encode())
    writer.write_eof()
    await reader.read()
    writer.close()


@pytest.fixture
def logging_levels() -> Iterator[None]:
    root = logging.getLogger()
    names = ("uvicorn", "uvicorn.error", "httpx", "httpcore", "asyncio", "sqlalchemy", "python_multipart")
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in names}
    for logger in map(logging.getLogger, names):  # servers of other tests set them
        logger.propagate, logger.disabled = True, False
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


def commands_of(pid: int) -> list[str]:
    """Return the arguments of a process and of all that it started, as every user of the machine sees them."""
    parents = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    found = []
    for one in family:
        with suppress(OSError):  # it may have ended meanwhile
            found.append(Path(f"/proc/{one}/cmdline").read_bytes().decode().replace("\0", " "))
    return found


in_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system has no /proc")


@in_proc
@pytest.mark.parametrize(
    "words", [["serve"], ["serve", "--no-workers"], ["serve", "--workers-only"]], ids=lambda words: words[-1]
)
def test_no_secret_is_an_argument_of_the_server(tmp_path: Path, words: list[str]) -> None:
    kept = {
        "KOJI_API_KEY": KOJI_KEY,
        "KOJI_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "AMPLITUDE_API_KEY": AMPLITUDE_KEY,
        "AMPLITUDE_SECRET_KEY": AMPLITUDE_SECRET,
        "CONNECTOR_API_TOKEN": QUERY_TOKEN,
    }
    elsewhere = {"KOJI_BASE_URL": "http://127.0.0.1:9", "AMPLITUDE_INGESTION_URL": "http://127.0.0.1:9"}
    machine = Machine(tmp_path, {**kept, **elsewhere, "PORT": str(free_port())})
    with machine.started(*words, until=STARTED) as server:
        seen = commands_of(server.process.pid)
        server.send_signal(signal.SIGTERM)
        server.wait(15)
    assert any(words[-1] in one for one in seen)
    assert [secret for secret in kept.values() if any(secret in one for one in seen)] == []


@pytest.mark.slow
@in_proc
def test_no_secret_is_an_argument_of_the_demo(tmp_path: Path) -> None:
    with demo_servers.running(tmp_path) as servers:
        seen = commands_of(os.getpid())
        kept = [value for name, value in vars(stand_ins).items() if name.startswith("FAKE_")]
        kept.append(servers.token)
    assert any("connector sandbox" in one for one in seen)
    assert any("connector serve" in one for one in seen)
    assert len(kept) >= 5
    assert [secret for secret in kept if any(secret in one for one in seen)] == []
