"""What anybody may send, made up from the OpenAPI document itself, gets an answer that the document describes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from connector.service.views.examples import INTERVIEW_ID
from tests.support.processes import HEADERS, Process
from tests.support.sandbox_server import running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SECONDS = 300
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.parametrize(
    "made_up",
    [
        ["--phases=fuzzing", "--max-examples=2"],
        pytest.param(["--phases=coverage,fuzzing", "--max-examples=10"], marks=pytest.mark.proof),
    ],
    ids=["few", "many"],
)
async def test_every_answer_is_described(tmp_path: Path, made_up: list[str]) -> None:
    with running() as sandbox:
        server = Process(tmp_path, sandbox, lease_ms=30_000)
        try:
            async with httpx.AsyncClient(verify=False) as client:
                await server.ready(client)
                # the interview of the document's examples: no call has to wait for it
                told = {"interview_id": INTERVIEW_ID, "state": "completed", "email": "ada@example.com"}
                made = await client.post(
                    f"{sandbox}/control/koji/interviews", json={**told, "quality_score": 4.1}
                )
                made.raise_for_status()
            command = [
                str(Path(sys.executable).with_name("schemathesis")),
                "run",
                f"{server.url}/openapi.json",
                f"--url={server.url}",
                f"--header=Authorization: {HEADERS['Authorization']}",
                f"--checks={CHECKS}",  # 500 is described nowhere; 503 is, with when to come back
                *made_up,
                "--workers=1",  # Python 3.11 fails when several threads parse source, as Hypothesis does
                "--request-timeout=30",  # a request may ask to wait for 25 s
                "--seed=1",
                "--no-color",
            ]
            done = await asyncio.to_thread(_run, command, tmp_path)
        finally:
            server.kill()
    assert " generated" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
