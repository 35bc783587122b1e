"""Stable themes, from outside: keys in both writes, suggestions, and the refresh of user properties."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import DAY, World, message, open_world

pytestmark = pytest.mark.e2e

KEYS = "last_interview_theme_keys"
ADA, BOB = "person-001@example.com", "person-002@example.com"
PRICE = '[themes.price]\ntitle = "Pricing"\naliases = ["pricing confusion"]\n'
SPEED = '[themes.speed]\ntitle = "Speed"\npatterns = ["^slow"]\n'


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def learn(world: World, *themes: str) -> None:
    """Restart with another vocabulary."""
    (world.folder / "themes.toml").write_text("".join(themes))
    await world.restart()


async def arrive(world: World, *messages: Mapping[str, Any]) -> None:
    await world.deliver(*messages)
    await world.ended(*(one["interview_id"] for one in messages))


async def refresh(world: World, **which: Any) -> dict[str, Any]:
    found: dict[str, Any] = await world.get(
        "replay_syncs", refresh_user_properties=True, wait_seconds=20, **which
    )
    assert found["status"] == "finished", found
    await world.idle()
    return found


async def test_keys_join_both_writes_as_previewed_and_only_from_now_on(world: World) -> None:
    await arrive(world, message("int-1", 1))
    before = world.stored()
    assert "theme_key" not in str(before)
    await learn(world, SPEED, PRICE)
    await world.interview("int-2", 2, themes=["Slow import", "pricing  CONFUSION", "slow export", "docs"])
    shown = (await world.get("preview_interview_sync", interview_id="int-2"))["request"]["events"]
    assert (await world.get("sync_interview_to_amplitude", interview_id="int-2", wait_seconds=20))[
        "status"
    ] == "synced"
    receipt = await world.get("get_sync", interview_id="int-2")
    assert receipt["request"]["events"] == shown
    properties = shown[1]["event_properties"]
    assert {name: properties[name] for name in properties if name.startswith("theme")} == {
        "theme_top_1": "Slow import",
        "theme_top_2": "pricing  CONFUSION",
        "themes": ["Slow import", "pricing  CONFUSION", "slow export", "docs"],
        "theme_key_1": "speed",
        "theme_key_2": "price",
        "theme_keys": ["speed", "price"],
    }
    assert world.properties(BOB)[KEYS] == ["speed", "price"]
    assert KEYS not in world.properties(ADA)
    assert world.stored()[: len(before)] == before


async def test_a_refresh_writes_the_keys_of_the_newest_interviews_without_a_second_event(
    world: World,
) -> None:
    older = {"completed_at": "2026-11-10T10:00:00Z", "themes": ["slow search"], "sentiment": "positive"}
    await arrive(world, message("int-new", 1), message("int-old", 1, **older), message("int-bob", 2))
    await arrive(world, message("int-anonymous", 3, anonymous=True), message("int-poor", 4, quality_score=2))
    await learn(world, PRICE)
    events = world.stored("koji.interview_completed")
    found = await refresh(world)
    assert (found["total"], found["synced"], found["failed"]) == (3, 3, {})
    assert world.properties(ADA)[KEYS] == world.properties(BOB)[KEYS] == ["price"]
    assert world.properties(ADA)["last_interview_sentiment"] == "negative", "the newer interview's"
    assert world.stored("koji.interview_completed") == events
    assert len(world.stored("$identify")) == 2 + 2, "one more for each person's newest interview"
    attempts = (await world.get("get_sync", interview_id="int-new"))["attempts"]
    assert [one["identify"] for one in attempts] == [True, True]
    assert "user properties" in attempts[-1]["words"]
    await learn(world, SPEED)
    await refresh(world, interview_ids=["int-new"])
    assert world.properties(ADA)[KEYS] == ["speed"]
    await learn(world, PRICE)
    await refresh(world, interview_ids=["int-new", "int-old"])
    assert world.properties(ADA)[KEYS] == ["price"], "Amplitude takes what it had before once more"
    assert world.stored("koji.interview_completed") == events


async def test_a_refresh_leaves_out_whom_it_must_not_touch(world: World) -> None:
    for n, name in enumerate(("int-erased", "int-anonymous", "int-poor", "int-other"), 1):
        await arrive(world, message(name, n, quality_score=3.5 if name == "int-poor" else 4))
    await arrive(world, message("int-anonymous", 2, anonymous=True, event="interview.completed"))
    await world.get("forget_respondent", email=ADA, wait_seconds=20)
    (world.folder / "themes.toml").write_text(PRICE)
    await world.restart(CONNECTOR_MIN_QUALITY="4")
    await world.idle()
    before = len(world.stored("$identify"))
    await refresh(world)
    assert [one["user_id"] for one in world.stored("$identify")[before:]] == ["person-004@example.com"]


async def test_a_refresh_waits_for_amplitude_and_goes_on_long_after_an_unknown_outcome(world: World) -> None:
    await world.fault("amplitude", "status", status=500, times=1)
    await arrive(world, message("int-1", 1))
    await learn(world, PRICE)
    world.move(10 * DAY)
    await world.fault("amplitude", "status", status=503, times=2)
    run = await world.get("replay_syncs", refresh_user_properties=True, wait_seconds=0)
    assert run["pending"] == 1
    preview = await world.get("preview_interview_sync", interview_id="int-1")
    assert (preview["decision"], preview["reason"]) == ("skip", "already_synced")
    for _ in range(4):
        await world.idle()
        world.move(600)
    done = await world.get("get_run", run_id=run["run_id"])
    assert (done["status"], done["synced"]) == ("finished", 1)
    assert world.properties(ADA)[KEYS] == ["price"]
    assert len(world.completed()) == 1


@pytest.mark.parametrize("other", [{"force": True}, {"status": "failed"}])
async def test_a_refresh_stands_alone(world: World, other: dict[str, Any]) -> None:
    answer = await world.call("replay_syncs", refresh_user_properties=True, **other)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/refresh_user_properties"


async def test_labels_are_suggested_in_groups_and_rare_ones_are_only_counted(world: World) -> None:
    labels = ["Pricing confusion", "confusing  pricing", "slow import", "pricing too high"]
    for n in range(6):
        await arrive(world, message(f"int-{n}", n, themes=[*(labels if n < 5 else labels[:1]), f"rare {n}"]))
    await arrive(world, message("int-poor", 9, themes=["rare 1"], quality_score=1))
    found = await world.get("suggest_theme_keys")
    assert found == {
        "items": [
            {
                "key": "pricing_confusion",
                "count": 11,
                "labels": [
                    {"label": "pricing confusion", "count": 6},
                    {"label": "confusing pricing", "count": 5},
                ],
            },
            {"key": "pricing_too_high", "count": 5, "labels": [{"label": "pricing too high", "count": 5}]},
            {"key": "slow_import", "count": 5, "labels": [{"label": "slow import", "count": 5}]},
        ],
        "hidden": 6,
    }
    assert (await world.client.get("/actions/suggest_theme_keys?until=2026-11-20")).json() == {
        "items": [],
        "hidden": 0,
    }
    assert (await world.call("suggest_theme_keys", since="soon")).status_code == 422
    events = world.stored()
    await learn(world, PRICE, SPEED)
    assert [(one["key"], one["count"]) for one in (await world.get("suggest_theme_keys"))["items"]] == [
        ("price", 5),
        ("pricing_too_high", 5),
    ]
    assert world.stored() == events
