"""Interface 3.4: answers and computed properties reach Amplitude as the preview shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.harness import message, open_world, until

pytestmark = pytest.mark.e2e

MAPPING = """
[event_properties]
minutes = "stats.duration_seconds"
source = "'koji'"
wrong = "sum(themes)"
[user_properties]
last_nps = "structured_answers[?question_id=='q_1'].structured_value | [0]"
"""
ANSWERS = [
    {"questionId": "q_1", "questionText": "How likely?", "questionType": "scale", "structuredValue": 9},
    {"questionId": "q_2", "questionType": "multiple_choice", "structuredValue": ["API", "CSV"]},
]


async def test_the_preview_is_what_amplitude_gets(tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    async with open_world(tmp_path) as world:
        named = {"CONNECTOR_MAPPING_FILE": str(tmp_path / "mapping.toml")}
        await world.reconfigure({**named, "CONNECTOR_ANSWER_PROPERTIES": "q_1=nps_score, q_2=uses, q_3=plan"})
        await world.interview("int-1", structured_answers=ANSWERS, duration_seconds=300)
        preview = await world.get("preview_interview_sync", interview_id="int-1")
        await world.deliver(message("int-1"))  # without answers, so that Koji is read
        receipt = await world.ended("int-1")

        _, event = receipt["request"]["events"]
        assert event["event_properties"]["nps_score"] == 9
        assert event["event_properties"]["uses"] == ["API", "CSV"]
        assert (event["event_properties"]["minutes"], event["event_properties"]["source"]) == (300, "koji")
        (stored,) = world.stored("koji.interview_completed")
        assert stored["event_properties"] == event["event_properties"]
        assert world.properties("person-001@example.com")["last_nps"] == 9

        shown = preview["request"]["events"][1]["event_properties"]
        for name in ("nps_score", "uses", "minutes", "source"):
            assert shown[name] == event["event_properties"][name]
        assert preview["warning"] == receipt["warning"]
        assert receipt["warning"] == (
            "Not sent: plan (no answer to q_3), wrong (its expression failed: a function does not take the type of this value)."
        )

        erased = await world.get("forget_respondent", email="person-001@example.com", wait_seconds=20)
        assert erased["status"] == "finished"
        assert "last_nps" not in world.properties("person-001@example.com")


async def test_answers_that_koji_does_not_show_keep_no_interview_back(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.reconfigure({"CONNECTOR_ANSWER_PROPERTIES": "q_1=nps_score"})
        await world.deliver(message("int-1"))  # Koji does not know it
        receipt = await world.ended("int-1")
        assert receipt["status"] == "synced", receipt
        assert receipt["warning"] == "Not sent: nps_score (no answer to q_1)."
        assert world.completed() == ["int-1"]
        await world.deliver(message("int-2", themes=None))
        assert (await world.ended("int-2"))["reason"] == "not_found_in_koji"


async def test_answers_are_waited_for_no_longer_than_a_day(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.reconfigure({"CONNECTOR_ANSWER_PROPERTIES": "q_1=nps_score"})
        await world.interview("int-1", structured_answers=ANSWERS)
        await world.fault("koji", "status", status=503, times=None)
        await world.deliver(message("int-1"))
        for _ in range(3):
            pending = await world.seen("int-1", status="pending")
            assert pending["reason"] == "waiting_for_koji"
            world.move(7 * 3_600)

        async def sent() -> bool:
            world.move(3_600)
            return bool((await world.get("get_sync", interview_id="int-1"))["status"] == "synced")

        await until(sent)
        assert world.completed() == ["int-1"]
