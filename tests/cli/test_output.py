"""Tables fit the terminal, show every value, and neutralise control characters."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from connector.cli.operations.csv_rows import as_text
from connector.cli.operations.progress import _Pace, duration, state_reporter, summary
from connector.cli.operations.tables import show
from connector.service.views.run import RunOutput
from tests.support.fakes import a_run
from tests.support.harness import open_world

pytestmark = pytest.mark.unit

SYNC: dict[str, Any] = {
    "interview_id": "3f2c7a7e-0000-4000-8000-000000000001",
    "status": "skipped",
    "reason": "below_quality_gate",
    "user_id": None,
    "event_type": "koji.interview_completed",
    "quality_score": 2.5,
    "sentiment": "negative",
    "themes": ["slow import", "price"],
    "themes_text": "slow import, price",
    "warning": None,
}


def shown(answer: object, width: int = 80) -> str:
    assert isinstance(answer, dict)
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    show(console, answer)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(
    answer=st.dictionaries(
        st.sampled_from(["items", "status", "themes", "request", "received"]), values, max_size=5
    ),
    width=st.integers(24, 120),
)
def test_no_answer_breaks_the_table_or_its_width(answer: dict[str, Any], width: int) -> None:
    if isinstance(answer.get("items"), list):
        answer["items"] = [one for one in answer["items"] if isinstance(one, dict)]
    text = shown(answer, width)
    assert max((cell_len(line) for line in text.splitlines()), default=0) <= width
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_list_shows_the_telling_columns_that_fit(width: int) -> None:
    text = shown(
        {"items": [SYNC, {**SYNC, "interview_id": "int-2"}], "next_cursor": "abc", "has_more": True}, width
    )
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= width
    assert lines[0].startswith("interview_id")
    assert "themes  " not in lines[0]
    assert "user_id" not in lines[0]
    assert "int-2" in text
    assert lines[-1] == "More: --cursor abc"
    if width == 200:
        assert {"status", "reason", "quality_score", "sentiment", "themes_text"} <= set(lines[0].split())


def test_an_id_is_never_cut() -> None:
    text = shown({"items": [SYNC]}, 30)
    assert SYNC["interview_id"] in "".join(line.split("  ")[0] for line in text.splitlines())


def test_an_empty_list_says_so() -> None:
    assert shown({"items": [], "next_cursor": None, "has_more": False}) == "Nothing found.\n"


def test_an_object_shows_every_field_and_what_is_not_there() -> None:
    text = shown(
        {
            **SYNC,
            "skipped": {"anonymous": 3, "suppressed": 1},
            "request": {"events": [{"a": 1}]},
            "force": True,
        }
    )
    rows = dict(
        line.split(maxsplit=1)
        for line in text.splitlines()
        if line and not line.startswith(" ") and " " in line.strip()
    )
    assert rows["user_id"].strip() == "-"
    assert rows["themes_text"].strip() == "slow import, price"
    assert rows["skipped"].strip() == "anonymous 3, suppressed 1"
    assert rows["force"].strip() == "yes"
    assert "themes" not in rows
    assert json.dumps({"a": 1}) in " ".join(text.split()).replace("{ ", "{").replace(" }", "}")


def test_strangers_words_cannot_steer_the_terminal() -> None:
    text = shown({"summary": "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe", "items": None})
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "owned" in text
    assert "[bold]" in shown({"summary": "[bold]not markup[/bold] :smile:"})


@pytest.mark.parametrize(
    "value", ["=1+1", " =1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1", ["=1", "b"]]
)
def test_no_cell_is_a_formula_or_steers_a_terminal(value: Any) -> None:
    row = {"name": value, "other": "a\x1b[2J\u202eb", "number": -1, "deep": [{"a": None}], "map": {"b": "é"}}
    [written] = csv.DictReader(io.StringIO(as_text({"items": [row]}, "csv"), newline=""))
    assert written["name"].startswith("'")
    assert written["other"] == "a\ufffd[2Jb"
    assert written["number"] == "-1"
    assert (written["deep"], written["map"]) == ('{"a":null}', '{"b":"é"}')


def test_a_summary_tells_rate_rest_counts_and_reason() -> None:
    run = RunOutput(
        run_id="run_1", status="running", total=100, pending=60, synced=30,
        skipped={"anonymous": 8}, failed={"not_found_in_koji": 2}, eta_seconds=3600,
        done=[], left_to_people=[],
    )  # fmt: skip
    pace = _Pace(began=0.0, first=0)
    text = summary(run, pace, "60 to read from Koji, at most 60 a minute")
    assert "about 60 min left" in text
    assert "30 synced" in text
    assert "8 skipped (anonymous 8)" in text
    assert "2 failed (not_found_in_koji 2)" in text
    assert "/min" in text
    assert text.endswith("60 to read from Koji, at most 60 a minute")


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h")])
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_an_address_for_programs_takes_no_room_from_what_people_ask() -> None:
    address = "https://connector.example.com/actions/get_launch?launch_id=lau_1"
    item = {"launch_id": "lau_1", "status": "running", "status_url": address, "waiting": 3, "invited": 4}
    printed = shown({"items": [item], "has_more": False}, width=60)
    assert "status_url" not in printed
    assert "waiting" in printed
    assert "invited" in printed


@pytest.mark.parametrize("width", [40, 80])
def test_a_link_is_whole_and_stands_before_columns_without_values(width: int) -> None:
    link = "https://koji.so/api/v1/embed/project?" + "x" * 90
    item = {
        "email": "ada@example.com",
        "user_id": None,
        "state": "started",
        "interview_link": link,
        "name": None,
    }
    printed = shown({"launch_id": "lau_1", "plan_token": "plan_" + "y" * 90, "invitations": [item]}, width)
    assert any(line.rstrip().endswith(link) for line in printed.splitlines())
    assert any(line.endswith("plan_" + "y" * 90) for line in printed.splitlines())
    assert "started" in printed
    assert "name" not in printed


def test_a_list_of_launches_shows_cohorts_and_counts_first() -> None:
    counts = {"to_invite": 5, "waiting": 3, "invited": 2, "failed": 0}
    long = {"message": "Koji has no credits left; " * 3, "plan_token": "plan_" + "y" * 90}
    item = {"launch_id": "lau_" + "1" * 24, "status": "paused", **long, "cohort_name": "Drop-off", **counts}
    header, *_ = shown({"items": [item], "has_more": False}, width=80).splitlines()
    names = ["launch_id", "status", "cohort_name", "to_invite", "invited", "waiting"]
    assert header.split()[: len(names)] == names


async def test_only_what_a_run_itself_has_read_counts_half(tmp_path: Path) -> None:
    shown: list[int] = []
    async with open_world(tmp_path, workers=False) as world:
        report = state_reporter(
            world.context, "default", lambda _state, half_done, _why: shown.append(half_done)
        )
        ready = {"themes": ["price"], "quality_score": 4.2, "respondent_email": "ada@example.com"}
        await world.call("sync_interview_to_amplitude", interview_id="int-1", wait_seconds=0, **ready)
        await a_run(world.context.ledger, "run_1", ["int-1"])
        others = await world.get("backfill_interviews", interview_ids=["int-2", "int-3"], wait_seconds=0)
        erasure = await world.get("forget_respondent", email="eve@example.com", wait_seconds=0)
        replay = RunOutput(**{**others, "run_id": "run_1", "total": 1, "pending": 1})
        erasing = RunOutput(**{**erasure, "status": "running", "total": 4, "pending": 4})
        for state in (replay, RunOutput(**others), erasing):
            await report(state)
    assert shown == [1, 0, 0]


def test_rows_in_rows_and_themes_without_a_text_of_their_own_are_readable() -> None:
    counts = [{"value": "weekly", "n": 6}, {"value": "daily", "n": 5}]
    text = shown({"answers": [{"question": "How often?", "values": counts, "themes": ["price", "speed"]}]})
    assert "weekly 6, daily 5" in text
    assert "price, speed" in text
