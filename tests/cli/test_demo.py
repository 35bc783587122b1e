"""The demo as a person without an account runs it, and its checks, which must be able to fail."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connector.demo import demo, servers
from connector.demo.proof import Evidence, mismatches
from connector.demo.style import Glyphs, bar

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, "-m", "connector", "demo"]


def start(directory: Path) -> subprocess.Popen[str]:
    """Start the demo where everything of the caller would lead it astray."""
    home, here, temporary = directory / "home", directory / "here", directory / "tmp"
    for made in (home, here, temporary):
        made.mkdir()
    (here / ".env").write_text("KOJI_BASE_URL=http://127.0.0.1:9\nDATABASE_URL=postgresql://nowhere/none\n")
    (here / "connector.toml").write_text("no_such_setting = 1\n")
    environment = {
        **os.environ,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "AMPLITUDE_INGESTION_URL": "http://127.0.0.1:9",
        "CONNECTOR_MIN_QUALITY": "5",
        "PORT": "1",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "NO_PROXY": "",
        "no_proxy": "",
        "PYTHONPATH": str(Path(demo.__file__).parents[2]),
        "PYTHONIOENCODING": "utf-8",
        "FORCE_COLOR": "1",
    }
    return subprocess.Popen(
        COMMAND, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
def test_closes_the_loop_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output

    outcomes = {
        (status, reason): int(count)
        for count, status, reason in re.findall(
            r"^ +(\d+)  (synced|skipped|failed) +([a-z]+_[a-z_]+|anonymous|)", output, re.MULTILINE
        )
    }
    synced = outcomes["synced", ""]
    assert sum(outcomes.values()) == 60
    assert outcomes["failed", "rejected_by_amplitude"] == 1
    assert outcomes["skipped", "anonymous"] > 0
    assert outcomes["skipped", "below_quality_gate"] > 0
    counts = re.search(r"(\d+) webhooks acknowledged \(incl\. (\d+) duplicates\), 0 lost", output)
    assert counts is not None
    acknowledged, repeats = map(int, counts.groups())
    assert repeats == 12
    # every interview was completed and analysed, and the poor ones failed Koji's gate
    assert acknowledged >= 2 * 60 + repeats
    assert f"{synced} interviews in Amplitude, each counted exactly once" in output
    assert f"Of {synced} people " in output

    assert "to invite  60 people" in output
    assert "60 people started, each once; a second launch of the cohort invites none" in output
    assert "launch_id lau_" in " ".join(output.split())
    assert re.search(r"the respondent is known \(user-0\d\d\)", output)
    assert "DOWN, back in 5 s" in output
    assert re.search(r"503 unavailable", output)
    assert re.search(r"200 accepted", output)
    assert "koji-amplitude init" in output
    lines = output.splitlines()
    assert len(lines) <= 88
    assert all(len(line) <= 100 and line == line.rstrip() for line in lines)
    assert "\x1b" not in output
    assert not list((tmp_path / "home").iterdir())
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds its children in /proc")
def test_a_request_to_end_takes_the_servers_along(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "answered" in line:
                break
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == demo.INTERRUPTED
    assert output.splitlines()[-1] == "Stopped."
    assert len(children) == 2
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert not list((tmp_path / "tmp").iterdir())


def test_a_server_that_does_not_start_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        servers, "CONNECTOR", ("-c", "import sys; print('no room for a ledger'); sys.exit(3)")
    )
    assert demo.main(keep=False, program="koji-amplitude") == 1
    output = capsys.readouterr().out
    assert "The connector ended with exit code 3." in output
    assert "no room for a ledger" in output
    assert "exactly once" not in output


def interview(interview_id: str, **changed: object) -> dict[str, object]:
    email = f"{interview_id}@example.com"
    return {
        "interview_id": interview_id,
        "anonymous": False,
        "quality_score": 4.0,
        "email": email,
        "metadata": {"email": email},
        **changed,
    }


def event(interview_id: str, **changed: object) -> dict[str, object]:
    insert_id = f"koji:{interview_id}:completed"
    return {
        "insert_id": insert_id,
        "user_id": "user-1",
        "event_properties": {"launch_id": "lau_1"},
        **changed,
    }


def receipt(status: str, reason: str | None = None) -> dict[str, object]:
    return {"status": status, "reason": reason, "received": [{"event": "interview.analysis_ready"}]}


PROVEN = Evidence(
    interviews=[
        interview("fine"),
        interview("nobody", anonymous=True),
        interview("poor", quality_score=2.9),
        interview("refused"),
    ],
    acknowledged=[
        (interview_id, "interview.analysis_ready")
        for interview_id in ("fine", "fine", "nobody", "poor", "refused")
    ],
    receipts={
        "fine": receipt("synced"),
        "nobody": receipt("skipped", "anonymous"),
        "poor": receipt("skipped", "below_quality_gate"),
        "refused": receipt("failed", "rejected_by_amplitude"),
    },
    events=[event("fine")],
    identifies=["koji:fine:identify"],
    repeats_dropped=0,
    refused_email="refused@example.com",
    launch_id="lau_1",
    second_launch={"to_invite": 0},
)


def test_agreement_is_proven() -> None:
    assert mismatches(PROVEN) == []
    assert PROVEN.repeats == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"acknowledged": [*PROVEN.acknowledged, ("fine", "interview.completed")]},
            "acknowledged webhooks in no receipt: 1",
        ),
        ({"interviews": [*PROVEN.interviews, interview("unheard")]}, "interviews never acknowledged: 1"),
        ({"receipts": {**PROVEN.receipts, "poor": receipt("synced")}}, "another outcome"),
        ({"receipts": {**PROVEN.receipts, "fine": receipt("pending")}}, "another outcome"),
        ({"events": []}, "events missing in Amplitude: 1"),
        ({"events": [*PROVEN.events, *PROVEN.events]}, "events in Amplitude twice or without reason: 1"),
        ({"events": [*PROVEN.events, event("nobody")]}, "without reason"),
        ({"events": [event("fine", user_id="fine@example.com")]}, "events without their launch or user: 1"),
        ({"events": [event("fine", event_properties={})]}, "events without their launch or user: 1"),
        (
            {"interviews": [*PROVEN.interviews, interview("fine")]},
            "people started more than once: 1",
        ),
        ({"second_launch": {"to_invite": 3}}, "people whom a second launch would invite again: 3"),
        (
            {"interviews": [interview("fine", metadata={}), *PROVEN.interviews[1:]]},
            "interviews without an e-mail address: 1",
        ),
        (
            {"interviews": [interview("fine", quality_score=None), *PROVEN.interviews[1:]]},
            "interviews with another outcome than expected: 1",
        ),
        ({"identifies": []}, "user property writes missing in Amplitude: 1"),
        (
            {"identifies": [*PROVEN.identifies, *PROVEN.identifies]},
            "user property writes in Amplitude twice or without reason: 1",
        ),
    ],
)
def test_every_disagreement_is_found(changed: dict[str, Any], words: str) -> None:
    assert words in " ".join(mismatches(replace(PROVEN, **changed)))


@pytest.mark.parametrize(
    ("whole", "solid", "partial", "drawn"),
    [
        (1000, 999, 1, "#########+"),
        (1000, 1, 999, "#+++++++++"),
        (1000, 1, 1, "#+........"),
        (10, 10, 0, "##########"),
        (10, 0, 0, ".........."),
        (0, 0, 0, ".........."),
    ],
)
def test_every_part_of_a_bar_is_seen(whole: int, solid: int, partial: int, drawn: str) -> None:
    assert bar(Glyphs("#", "+", ".", "ok", "NO"), 10, whole, solid, partial).plain == drawn
