"""The two writes to Amplitude."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.results.interview import Interview
from connector.domain.results.koji_fields import read_interview
from connector.domain.results.mapping import event_insert_id, identify_insert_id, iso, unset, writes
from connector.domain.results.theme_keys import Theme, Vocabulary
from tests.fixtures import load

pytestmark = pytest.mark.unit

AT = 1_795_341_600_123
FULL = Interview(
    "int_1",
    ready=True,
    email_given=True,
    respondent_email="ada@example.com",
    external_id="user-1",
    themes=("pricing", "slow import", "docs"),
    sentiment="negative",
    quality_score=4.2,
    transcript_url="https://www.koji.so/interviews/int_1",
    completed_at=AT,
    project_id="study-1",
    mode="voice",
    duration_seconds=1530,
    respondent_messages=18,
)


def mapped(
    interview: Interview = FULL, *, backfill: bool = False, project: str | None = None
) -> tuple[Any, Any]:
    found = writes(
        interview, user_id="ada@example.com", completed_at=AT, koji_project_id=project, backfill=backfill
    )
    return json.loads(found.identify), json.loads(found.event)


def _both(interview: Interview, vocabulary: Vocabulary | None = None) -> tuple[str, str]:
    found = writes(
        interview, user_id="u-1", completed_at=AT, koji_project_id=None, backfill=False, vocabulary=vocabulary
    )
    return found.identify, found.event


def test_the_identify_sets_the_four_properties_one_millisecond_before() -> None:
    assert mapped()[0] == {
        "event_type": "$identify",
        "user_id": "ada@example.com",
        "time": AT - 1,
        "insert_id": "koji:int_1:identify",
        "user_properties": {
            "$set": {
                "last_interview_at": "2026-11-22T10:00:00Z",
                "last_interview_sentiment": "negative",
                "last_interview_themes": ["pricing", "slow import", "docs"],
                "last_interview_quality": 4.2,
            }
        },
    }


def test_the_event() -> None:
    assert mapped()[1] == {
        "event_type": "koji.interview_completed",
        "user_id": "ada@example.com",
        "time": AT,
        "insert_id": "koji:int_1:completed",
        "event_properties": {
            "theme_top_1": "pricing",
            "theme_top_2": "slow import",
            "themes": ["pricing", "slow import", "docs"],
            "sentiment": "negative",
            "quality_score": 4.2,
            "transcript_url": "https://www.koji.so/interviews/int_1",
            "interview_id": "int_1",
            "koji_project_id": "study-1",
            "mode": "voice",
            "duration_seconds": 1530,
            "respondent_messages": 18,
        },
    }


def test_what_is_lacking_is_unset_in_the_same_write() -> None:
    identify, _ = mapped(FULL._replace(sentiment=None, themes=None, quality_score=None))
    assert identify["user_properties"] == {
        "$set": {"last_interview_at": "2026-11-22T10:00:00Z"},
        "$unset": {
            "last_interview_sentiment": "-",
            "last_interview_themes": "-",
            "last_interview_quality": "-",
        },
    }
    identify, _ = mapped(FULL._replace(themes=()))
    assert identify["user_properties"]["$unset"] == {"last_interview_themes": "-"}


def test_what_is_unknown_is_left_out_of_the_event() -> None:
    _, event = mapped(Interview("int_1", quality_score=4))
    assert event["event_properties"] == {"quality_score": 4, "interview_id": "int_1"}


def test_a_single_theme_has_no_second() -> None:
    _, event = mapped(FULL._replace(themes=("only",)))
    assert event["event_properties"]["theme_top_1"] == "only"
    assert "theme_top_2" not in event["event_properties"]


@pytest.mark.parametrize("score", [3, 5, 3.0, 2.9999999, 4.123456789])
def test_the_score_is_not_rounded_and_keeps_its_type(score: float) -> None:
    identify, event = mapped(FULL._replace(quality_score=score))
    found = event["event_properties"]["quality_score"]
    assert (found, type(found)) == (score, type(score))
    assert identify["user_properties"]["$set"]["last_interview_quality"] == score


def test_a_score_of_zero_is_known() -> None:
    identify, event = mapped(FULL._replace(quality_score=0))
    assert event["event_properties"]["quality_score"] == 0
    assert "$unset" not in identify["user_properties"]


def test_the_configured_project_stands_in_for_one_that_koji_does_not_name() -> None:
    assert mapped(project="ours")[1]["event_properties"]["koji_project_id"] == "study-1"
    unnamed = FULL._replace(project_id=None)
    assert mapped(unnamed, project="ours")[1]["event_properties"]["koji_project_id"] == "ours"


def test_a_vocabulary_adds_keys_to_both_writes_and_leaves_the_labels() -> None:
    vocabulary = Vocabulary((Theme("speed", "Speed", patterns=("slow",)), Theme("price", "Pricing")))
    plain = [json.loads(text) for text in _both(FULL)]
    identify, event = (json.loads(text) for text in _both(FULL, vocabulary))
    keys = ["price", "speed"]
    added = {"theme_key_1": "price", "theme_key_2": "speed", "theme_keys": keys}
    assert event["event_properties"] == {**plain[1]["event_properties"], **added}
    assert identify["user_properties"]["$set"] == {
        **plain[0]["user_properties"]["$set"],
        "last_interview_theme_keys": keys,
    }


def test_labels_without_a_key_unset_the_keys_of_an_earlier_interview() -> None:
    vocabulary = Vocabulary((Theme("price", "Pricing"),))
    identify, event = (json.loads(text) for text in _both(FULL._replace(themes=("other",)), vocabulary))
    assert identify["user_properties"]["$unset"] == {"last_interview_theme_keys": "-"}
    assert not [name for name in event["event_properties"] if name.startswith("theme_key")]


def test_an_erasure_unsets_the_keys_too() -> None:
    assert "last_interview_theme_keys" in json.loads(unset("u-12345", AT))["user_properties"]["$unset"]


def test_a_backfilled_event_leaves_the_user_table_alone() -> None:
    identify, event = mapped(backfill=True)
    assert event.pop("$skip_user_properties_sync") is True
    assert (identify, event) == mapped()


def test_no_device_and_no_address_go_along() -> None:
    for write in mapped():
        assert not {"device_id", "ip", "session_id", "user_agent"} & write.keys()
    assert "user-1" not in json.dumps(mapped())


@given(st.integers(0, 3000))
def test_strings_over_1024_characters_are_cut_to_1023_and_an_ellipsis(length: int) -> None:
    text = "ä" * length
    identify, event = mapped(
        FULL._replace(themes=(text, "b"), sentiment=text, transcript_url=text, mode=text, project_id=text),
        project=None,
    )
    expected = text if length <= 1024 else "ä" * 1023 + "…"
    properties = event["event_properties"]
    names = ("theme_top_1", "sentiment", "transcript_url", "mode")
    assert [properties[name] for name in names] == [expected] * 4
    assert properties["themes"] == [expected, "b"]
    assert identify["user_properties"]["$set"]["last_interview_themes"] == [expected, "b"]
    assert all(len(value) <= 1024 for value in properties.values() if isinstance(value, str))


@given(st.lists(st.text(min_size=1), unique=True, max_size=9), st.booleans(), st.integers(1, 4 * 10**12))
def test_the_same_interview_gives_the_same_bytes(themes: list[str], backfill: bool, at: int) -> None:
    interview = FULL._replace(themes=tuple(themes))
    first, second = (
        writes(interview, user_id="u-12345", completed_at=at, koji_project_id=None, backfill=backfill)
        for _ in range(2)
    )
    assert first == second
    event = json.loads(first.event)
    assert event["event_properties"].get("themes", []) == themes
    assert json.loads(first.identify)["time"] == event["time"] - 1 == at - 1


def test_insert_ids_depend_on_the_interview_alone() -> None:
    assert event_insert_id("int_1") == "koji:int_1:completed"
    assert identify_insert_id("int_1") == "koji:int_1:identify"


def test_times_are_written_in_whole_seconds_of_utc() -> None:
    assert iso(AT) == iso(AT - 123) == "2026-11-22T10:00:00Z"
    assert iso(0) == "1970-01-01T00:00:00Z"


def test_a_documented_body_becomes_both_writes() -> None:
    body = load("invented/koji_analysis_ready")["body"]
    identify, event = mapped(read_interview(body, "int_1", event=body["event"]))
    assert identify["user_properties"]["$set"]["last_interview_sentiment"] == "negative"
    assert event["event_properties"]["theme_top_1"] == "pricing confusion"
    assert "person-001" not in json.dumps(event["event_properties"])
