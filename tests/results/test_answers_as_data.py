"""Interface 3.4: answers and computed properties reach Amplitude as the preview shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.harness import message, open_world

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
            "Not sent: plan (no answer to q_3), wrong (its expression failed: JMESPathTypeError)."
        )

        erased = await world.get("forget_respondent", email="person-001@example.com", wait_seconds=20)
        assert erased["status"] == "finished"
        assert "last_nps" not in world.properties("person-001@example.com")
