"""What get_theme_report counts: synced interviews, each once, and nothing that fewer than five have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector.domain.results.answers import short_answers
from connector.domain.results.interview import Interview, SyncStatus
from connector.domain.results.tally import Kind, cells_of, spans_of
from connector.ledger.ledger import Ledger
from connector.ledger.results import tallies
from connector.ledger.results.tallies import Totals
from tests.support.fakes import NOW, a_settlement, a_sync
from tests.support.harness import DAY, QUICK, World, message, open_world

EASE = {"questionId": "q1", "questionText": "How easy was it?", "questionType": "scale", "structuredValue": 8}
TODAY = NOW // (1000 * DAY)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id) as opened:
        yield opened


async def report(world: World, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = await world.get(
        "get_theme_report", **{"since": "2026-11-01", "until": "2026-12-01", **asked}
    )
    return found


async def arrive(world: World, *messages: dict[str, Any]) -> None:
    await world.deliver(*messages)
    await world.ended(*(one["interview_id"] for one in messages))


@pytest.mark.e2e
async def test_themes_sentiment_quality_days_and_answers_are_counted(world: World) -> None:
    themes = ["Pricing  Confusion", "pricing confusion", "slow import"]
    tools = {"questionId": "q2", "questionType": "multiple_choice"}
    for n in range(6):
        answers = [{**EASE, "structuredValue": 8 if n < 5 else 10}, {**tools, "structuredValue": ["a", "b"]}]
        mood = "Negative" if n < 5 else "positive"
        fields = {"themes": themes if n else themes[2:], "sentiment": mood, "structured_answers": answers}
        await arrive(world, message(f"int-{n}", n, **fields))
    found = await report(world)
    assert (found["since"], found["until"]) == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    assert found["interviews"] == 6
    none: dict[str, None] = dict.fromkeys(("positive", "mixed", "neutral", "negative"))
    assert found["themes"] == [
        {**none, "theme": "slow import", "n": 6, "share": 1.0, "negative": 5},
        {**none, "theme": "pricing confusion", "n": 5, "share": 0.8333},
    ]
    assert found["sentiment"] == {**none, "negative": 5}
    assert [one for one in found["quality"] if one["n"]] == [{"from": 4.0, "to": 4.5, "n": 6}]
    assert found["per_day"] == [{"day": "2026-11-20", "n": 6}]
    assert found["answers"] == [
        {"question": "How easy was it?", "n": 6, "values": [{"value": "8", "n": 5}]},
        {"question": "q2", "n": 6, "values": [{"value": "a", "n": 6}, {"value": "b", "n": 6}]},
    ]
    assert found["hidden"] == 1, "the answer 10"


@pytest.mark.e2e
async def test_only_the_days_that_are_asked_for_count(world: World) -> None:
    days = [f"2026-11-{10 + n}T23:59:59Z" for n in range(6)]
    await arrive(world, *(message(f"int-{n}", n, completed_at=at) for n, at in enumerate(days)))
    assert (await report(world, since="2026-11-11", until="2026-11-16"))["interviews"] == 5
    few = await report(world, since="2026-11-12", until="2026-11-16")
    assert (few["interviews"], few["themes"], few["hidden"]) == (4, [], 3)
    assert [one["n"] for one in few["per_day"]] == [None] * 4
    backwards = {"since": "2026-11-16", "until": "2026-11-11"}
    assert (await world.call("get_theme_report", **backwards)).status_code == 422
    assert (await world.call("get_theme_report", since="soon")).status_code == 422


@pytest.mark.e2e
async def test_no_interview_counts_twice_and_none_that_is_skipped_or_anonymous(world: World) -> None:
    await arrive(world, *(message(f"int-{n}", n) for n in range(5)))
    await arrive(world, message("int-anonymous", 5, anonymous=True), message("int-poor", 6, quality_score=1))
    once = await report(world)
    assert once["interviews"] == 5
    await arrive(world, message("int-0", 0, themes=["another"], event="interview.completed"))
    await world.interview("int-1", 1, themes=["another"])
    await world.get("sync_interview_to_amplitude", interview_id="int-1", force=True, wait_seconds=20)
    await world.get("replay_syncs", interview_ids=["int-2"], force=True, wait_seconds=20)
    await world.get("backfill_interviews", interview_ids=["int-3"], wait_seconds=20)
    await world.get("forget_respondent", email="person-004@example.com", wait_seconds=20)
    await world.idle()
    assert await report(world) == once


@pytest.mark.e2e
async def test_answers_come_from_a_read_too_and_koji_is_not_read_for_them(world: World) -> None:
    for n in range(5):
        await world.interview(f"int-{n}", n, structured_answers=[EASE])
        await world.deliver({"event": "interview.analysis_ready", "interview_id": f"int-{n}"})
        await world.ended(f"int-{n}")
    found = await world.get("get_theme_report")
    assert found["answers"] == [{"question": "How easy was it?", "n": 5, "values": [{"value": "8", "n": 5}]}]
    assert found["interviews"] == 5
    await world.fault("koji", "status", status=500, times=None)  # a read would end in a failure
    await arrive(world, message("int-whole", 9))
    assert (await world.get("get_sync", interview_id="int-whole"))["status"] == "synced"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("kind", "value", "counted"),
    [
        ("scale", 8, ("8",)),
        ("scale", 7.5, ("7.5",)),
        (None, 8, ("8",)),
        ("yes_no", True, ("yes",)),
        ("yes_no", "no", ("no",)),
        ("single_choice", {"label": "Weekly"}, ("Weekly",)),
        ("ranking", ["price", "speed"], ("price", "speed")),
        ("single_choice", "x" * 81, None),
        ("open_ended", "I am Ada", None),
        ("open_ended", 4, None),
        (None, "I am Ada", None),
        ("multiple_choice", [["deep"]], None),
        ("scale", None, None),
    ],
)
def test_only_short_answers_are_kept(kind: str | None, value: Any, counted: tuple[str, ...] | None) -> None:
    kept = short_answers([{"question_id": "q", "question_type": kind, "structured_value": value}])
    assert kept == (None if counted is None else (("q", *counted),))


@pytest.mark.unit
@pytest.mark.parametrize("odd", [None, {}, "text", [None, 1, "x"], [{}], [{"structuredValue": 1}]])
def test_answers_of_another_shape_are_none(odd: Any) -> None:
    assert short_answers(odd) is None


@pytest.mark.unit
def test_a_label_that_is_said_twice_counts_once_and_is_cut() -> None:
    interview = Interview("int_1", themes=("A", " a", "x" * 10_000), quality_score=5, sentiment="mixed")
    cells = cells_of("default", NOW, interview)
    assert sorted(len(cell.subject) for cell in cells if cell[1:3] == (Kind.THEME, 1)) == [1, 200]
    assert {cell.value for cell in cells if cell.kind == Kind.QUALITY} == {"9"}


async def settled(ledger: Ledger, interview_id: str, **fields: Any) -> None:
    sync = a_sync(interview_id, **fields)
    await ledger.syncs.revise([("default", interview_id)], lambda *_: [sync])
    lease = await ledger.leases.acquire(f"amplitude:{interview_id}", "me", NOW, 30_000)
    assert lease is not None
    await ledger.sending.begin(lease, ["default"], NOW, 500)
    for _ in range(2):  # the second is of a worker that overslept
        await ledger.sending.settle(lease, [a_settlement(sync)], NOW, NOW)


async def totals(ledger: Ledger) -> Totals:
    return await ledger.tallies.of_days("default", TODAY - 1, TODAY)


@pytest.mark.contract
async def test_an_interview_counts_when_it_is_synced_for_the_first_time(ledger: Ledger) -> None:
    for n in range(5):
        await settled(ledger, f"int_{n}", user=f"{n}@example.com")
    found = await totals(ledger)
    assert sum(n for _, n in found.per_day) == 5
    assert found.cells == {("theme", "pricing", ""): 5, ("felt", "pricing", ""): 5, ("quality", "", "9"): 5}
    assert found.hidden == 0


@pytest.mark.contract
async def test_an_interview_that_turned_anonymous_on_its_way_does_not_count(ledger: Ledger) -> None:
    facts = Interview("int_1", ready=True, anonymous=True, themes=("pricing",), quality_score=4)
    await settled(ledger, "int_1", facts=facts)
    (stored,) = (await ledger.syncs.find_many("default", ["int_1"])).values()
    assert stored.status is SyncStatus.SYNCED
    assert (await totals(ledger)).per_day == []


@pytest.mark.contract
async def test_small_cells_go_with_the_retention(ledger: Ledger) -> None:
    often, seldom = (Interview("int_1", themes=(theme,)) for theme in ("often", "seldom"))
    old = [cell for one in (*[often] * 5, seldom) for cell in cells_of("default", NOW - 1000 * DAY, one)]
    new = cells_of("default", NOW, seldom)
    await ledger.db.write(lambda c: tallies.count(c, [*old, *new]))
    await ledger.retention.prune(NOW, NOW)
    found = await ledger.db.read(
        lambda c: c.exec_driver_sql("SELECT day, subject, n FROM tally WHERE days = 1").all()
    )
    assert {(day - TODAY, subject, n) for day, subject, n in found if subject} == {
        (-1, "often", 5),
        (0, "seldom", 1),
    }


@pytest.mark.unit
@pytest.mark.parametrize("first", [20_480, 20_479, 20_481, -5])
@pytest.mark.parametrize("length", [0, 1, 7, 8, 64, 65, 366, 10_000])
def test_a_period_is_made_up_of_few_runs_of_spans(first: int, length: int) -> None:
    runs = spans_of(first, first + length)
    days = [
        day for size, begins, ends in runs for at in range(begins, ends, size) for day in range(at, at + size)
    ]
    assert days == list(range(first, first + length)), "each day once, in order"
    assert all(begins % size == 0 == ends % size for size, begins, ends in runs), "spans that are counted"
    assert sum((ends - begins) // size for size, begins, ends in runs) <= 28 + length // 64


@pytest.mark.contract
async def test_long_periods_count_every_day_once(ledger: Ledger) -> None:
    facts = Interview("int_1", themes=("pricing",), sentiment="negative")
    days = range(TODAY - 200, TODAY + 1, 3)
    counted = [cell for day in days for cell in cells_of("default", day * 1000 * DAY, facts)]
    await ledger.db.write(lambda c: tallies.count(c, counted))
    for first in range(TODAY - 201, TODAY - 130):
        for last in (TODAY - 70, TODAY):
            n = sum(first <= day <= last for day in days)
            found = await ledger.tallies.of_days("default", first, last)
            assert found.interviews == len(found.per_day) == n
            assert set(found.cells.values()) == {n}
    assert (await ledger.tallies.of_days("default", TODAY, TODAY - 1)).interviews == 0
