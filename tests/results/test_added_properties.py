"""Answers as data: the properties that settings add to an interview's event and user."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connector.domain.results.added_properties import AddedProperties, added_to
from connector.domain.results.decision import Verdict, decide
from connector.domain.results.interview import Interview, Stage
from connector.domain.results.koji_fields import read_interview
from connector.domain.results.mapping import unset
from connector.domain.results.observation import Observation, merge
from connector.domain.results.respondent import People
from connector.domain.results.transitions import advance
from connector.ledger.results.sync_row import dump_facts, load_facts
from connector.settings.model import Connection
from connector.settings.rules import sync_rules

pytestmark = pytest.mark.unit

ADA = "ada@example.com"
BODY: dict[str, Any] = {
    "interview_id": "int_1",
    "status": "completed",
    "respondent_email": ADA,
    "analysis": {
        "themes": ["pricing", "docs"],
        "insights": [{"text": "Slow import"}, "Too dear"],
        "summary": "Wants a cheaper plan.",
        "quality_score": 4.2,
        "structured_answers": [
            {"questionId": "q_1", "questionType": "scale", "structuredValue": 8, "email": ADA},
            {
                "questionId": "q_2",
                "questionType": "multiple_choice",
                "structuredValue": ["API", {"label": "CSV"}],
            },
            {"questionId": "q_3", "questionType": "single_choice", "structuredValue": "Monthly"},
            {"questionId": "q_4", "questionType": "yes_no", "structuredValue": True},
            {"questionId": "q_5", "questionType": "open_ended", "qualitativeAnswer": "Hm."},
        ],
    },
    "stats": {"duration_seconds": 1530, "respondentMessages": 18, "who": ADA},
    "transcript": [{"speaker": "respondent", "text": "My own words."}],
}
INTERVIEW = read_interview(BODY, "int_1", event=None, whole=True)


def added(interview: Interview = INTERVIEW, /, *, answers: Any = None, user: Any = None, **event: str) -> Any:
    return added_to(interview, AddedProperties(event, user or {}, answers or {}))


def one(expression: str, interview: Interview = INTERVIEW) -> Any:
    return added(interview, x=expression).event.get("x")


def test_answers_keep_their_types() -> None:
    answers = {"q_1": "nps", "q_2": "uses", "q_3": "plan", "q_4": "again"}
    found = added(answers=answers)
    assert found.event == {"nps": 8, "uses": ["API", "CSV"], "plan": "Monthly", "again": True}
    assert (found.user, found.warning) == ({}, None)


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        ("scale", "7", 7),
        ("scale", 7.5, 7.5),
        ("single_choice", "7", "7"),
        ("single_choice", {"id": "a", "label": "Yearly"}, "Yearly"),
        ("single_choice", "x" * 2000, "x" * 1023 + "…"),
        ("ranking", [1, "b", None, "c" * 2000], ["1", "b", "c" * 1023 + "…"]),
        ("multiple_choice", [str(number) for number in range(80)], [str(number) for number in range(50)]),
        ("yes_no", False, False),
        ("yes_no", "Yes", True),
        ("boolean", " false ", False),
        ("yes_no", {"label": "No"}, False),
        ("yes_no", "perhaps", "perhaps"),
        ("single_choice", "Yes", "Yes"),
        ("scale", 0, 0),
        ("scale", 10**30, None),
        ("single_choice", "  ", None),
        ("multiple_choice", [], None),
        ("single_choice", {"a": 1}, None),
        ("scale", None, None),
    ],
)
def test_an_answer_is_sent_within_the_limits(kind: str, value: Any, sent: Any) -> None:
    answer = {"question_id": "q", "question_type": kind, "structured_value": value}
    interview = read_interview({"structured_answers": [answer]}, "int_1", event=None, whole=True)
    found = added(interview, answers={"q": "p"})
    assert found.event == ({} if sent is None else {"p": sent})
    assert found.warning == ("Not sent: p (no answer to q)." if sent is None else None)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("stats.duration_seconds", 1530),
        ("stats.respondent_messages", 18),
        ("structured_answers[?question_id=='q_1'].structured_value | [0]", 8),
        ("structured_answers[?question_id=='q_5'] | [0].qualitative_answer", "Hm."),
        ("insights", ["Slow import", "Too dear"]),
        ("length(insights)", 2),
        ("contains(themes, 'docs')", True),
        ("summary", "Wants a cheaper plan."),
        (
            "[interview_id, status, analysis_status, themes_text]",
            ["int_1", "completed", "completed", "pricing, docs"],
        ),
        ("`5`", 5),
        ("'koji'", "koji"),
        ("quality_score", 4.2),
    ],
)
def test_expressions_see_the_answer_of_get_interview_analysis(expression: str, value: Any) -> None:
    assert one(expression) == value


@pytest.mark.parametrize("expression", ["@", "values(@)", "to_string(@)", "keys(@)", "to_string(stats)"])
def test_expressions_see_no_respondent_and_no_transcript(expression: str) -> None:
    shown = str(one(f"to_string({expression})"))
    assert ADA not in shown
    assert "own words" not in shown
    assert not {"respondent", "transcript"} & {*one("keys(@)")}


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("nothing", "gave null"),
        ("stats", "gave an object"),
        ("structured_answers", "gave nothing to keep"),
        ("`[]`", "gave nothing to keep"),
        ("' '", "gave nothing to keep"),
        ("&summary", "gave nothing to keep"),
        ("length(stats.duration_seconds)", "failed: a function does not take the type of this value"),
        ("sum(themes)", "failed: a function does not take the type of this value"),
    ],
)
def test_what_cannot_be_sent_is_left_out_and_told_without_what_was_said(expression: str, why: str) -> None:
    found = added(x=expression, fine="`1`", user={"y": expression})
    assert (found.event, found.user) == ({"fine": 1}, {})
    assert found.warning == f"Not sent: x (its expression {why}), y (its expression {why})."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("structured_answers", "insights", "summary", "stats", "status"), JSON)
    )
    | st.builds(lambda value: {"structured_answers": [{"questionId": "q", "structuredValue": value}]}, JSON)
)
def test_whatever_koji_sends_is_stored_and_mapped(body: dict[str, Any]) -> None:
    interview = read_interview(body, "int_1", event=None, whole=True)
    stored = load_facts(dump_facts(interview))
    assert stored is not None
    found = added(stored, answers={"q": "p"}, a="@", b="summary", c="insights", d="stats.*", e="max(stats.*)")
    assert json.dumps(found.event).encode()


def test_only_connections_that_add_properties_keep_the_analysis() -> None:
    assert read_interview(BODY, "int_1", event=None).analysis is None


def test_a_later_observation_adds_to_the_analysis() -> None:
    webhook = read_interview({"summary": "Short."}, "int_1", event=None, whole=True)
    known = merge(webhook, read_interview({"stats": {"a": 1}}, "int_1", event=None, whole=True))
    assert known.analysis == {"summary": "Short.", "stats": {"a": 1}}


def test_an_anonymous_interview_keeps_no_answers() -> None:
    known = merge(INTERVIEW, Interview("int_1", anonymous=True))
    assert (known.analysis, known.warning) == (None, None)


CONNECTION = Connection(
    koji_api_key=SecretStr("k"),
    amplitude_api_key=SecretStr("a"),
    connector_answer_properties={"q_1": "nps"},
    connector_mapping_file=AddedProperties(
        {"minutes": "stats.duration_seconds", "no": "nothing"},
        {"last_plan": "'free'", "gone": "nothing"},
    ),
)
PEOPLE = People(str.upper, lambda _, alias: len(alias))


def test_the_writes_carry_what_was_added() -> None:
    observation = Observation(rules=sync_rules(CONNECTION), interview=INTERVIEW, at=1_000)
    sync = advance(None, observation, PEOPLE)
    assert sync.stage is Stage.SEND
    properties = json.loads(sync.event or "")["event_properties"]
    assert (properties["nps"], properties["minutes"], properties["theme_top_1"]) == (8, 1530, "pricing")
    written = json.loads(sync.identify or "")["user_properties"]
    assert written["$set"]["last_plan"] == "free"
    assert "gone" not in {**written["$set"], **written["$unset"]}  # the user's own value stays
    assert sync.facts is not None
    assert sync.facts.warning == ("Not sent: no (its expression gave null), gone (its expression gave null).")


def test_an_erasure_unsets_what_was_added() -> None:
    properties = json.loads(unset("ada", 1, {"last_plan"}))["user_properties"]["$unset"]
    assert properties["last_plan"] == properties["last_interview_at"] == "-"


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (None, Verdict.PENDING),
        ([], Verdict.PENDING),
        ([{"question_id": "q_1", "qualitative_answer": "A summary."}], Verdict.PENDING),
        ([{"question_id": "q_2", "structured_value": 0}], Verdict.SYNC),
    ],
)
def test_koji_is_read_while_no_structured_answer_came(answers: Any, verdict: Verdict) -> None:
    body = {"themes": ["a"], "quality_score": 4, "respondent_email": ADA, "structured_answers": answers}
    interview = read_interview(body, "int_1", event=None, whole=True)
    rules = sync_rules(CONNECTION)
    assert decide(interview, rules).verdict is verdict
    assert decide(interview, rules, was_read=True).verdict is Verdict.SYNC
    assert decide(interview, sync_rules(Connection())).verdict is Verdict.SYNC
