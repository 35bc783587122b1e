"""What a body is about: event name, interview id, projects; and what its fields say."""

from __future__ import annotations

from typing import Any

import pytest

from connector.domain.results.interview import Interview
from connector.domain.results.koji_fields import read_envelope, read_interview, shape, unreadable
from connector.domain.results.koji_values import identifier
from connector.settings.types import ALIAS_FIELDS
from tests.fixtures import load

pytestmark = pytest.mark.unit

NIL = "00000000-0000-0000-0000-000000000000"
SECTIONS = ("data", "payload", "interview", "analysis", "respondent", "metadata")
FACTS = {
    "respondent_email": "ada@example.com",
    "external_id": "user-1",
    "themes": ["pricing", "slow import"],
    "sentiment": "Negative",
    "quality_score": 4.2,
    "transcript_url": "https://www.koji.so/interviews/int_1",
    "completed_at": "2026-11-22T10:00:00Z",
    "analysis_status": "completed",
    "mode": "voice",
    "duration_seconds": 1530,
    "respondent_messages": 18,
}
READ = Interview(
    "int_1",
    ready=True,
    analysis_status="completed",
    email_given=True,
    respondent_email="ada@example.com",
    external_id="user-1",
    themes=("pricing", "slow import"),
    sentiment="negative",
    quality_score=4.2,
    transcript_url="https://www.koji.so/interviews/int_1",
    completed_at=1_795_341_600_000,
    mode="voice",
    duration_seconds=1530,
    respondent_messages=18,
    has_ended=True,
)


def interview(body: Any, event: str | None = None, **more: Any) -> Interview:
    return read_interview(body, "int_1", event=event, **more)


class TestEvent:
    @pytest.mark.parametrize("key", ["event", "type", "event_type", "event_name", "topic", "name"])
    def test_is_read_from_each_key(self, key: str) -> None:
        assert read_envelope({key: "interview.completed"}).event == "interview.completed"

    @pytest.mark.parametrize("name", [b"x-koji-event", b"X-Koji-Event", b"webhook-topic"])
    def test_is_read_from_a_header(self, name: bytes) -> None:
        headers = [(b"content-type", b"application/json"), (name, b" interview.completed\x00")]
        assert read_envelope({}, headers).event == "interview.completed"

    @pytest.mark.parametrize("name", [b"event", b"x-event-id", b"topics"])
    def test_is_not_read_from_another_header(self, name: bytes) -> None:
        assert read_envelope({}, [(name, b"interview.completed")]).event is None

    def test_prefers_the_name_that_speaks_of_an_interview(self) -> None:
        body = {"type": "event", "event_type": "interview.completed", "name": "Ada"}
        assert read_envelope(body).event == "interview.completed"
        assert read_envelope({"type": "event"}, [(b"x-koji-event", b"interview.x")]).event == "interview.x"

    def test_an_unsigned_header_turns_no_event_into_another(self) -> None:
        headers = [(b"x-koji-event", b"interview.failed_quality_gate")]
        assert read_envelope({"event": "study.published"}, headers).event == "study.published"
        assert read_envelope({"data": {"type": "report.generated"}}, headers).event == "report.generated"
        assert read_envelope({"event": "interview.completed"}, headers).event == "interview.completed"
        assert read_envelope({"type": "webhook"}, headers).event == "interview.failed_quality_gate"

    def test_may_stand_in_a_wrapper_beside_the_fields(self) -> None:
        assert read_envelope({"payload": {"event": "study.published", "id": "s_1"}}).is_never_ours
        assert read_envelope({"data": {"type": "voice", "name": "a.b"}}).event is None

    def test_an_alias_counts_first(self) -> None:
        body = {"event": "x", "meta": {"kind": "interview.completed"}}
        assert read_envelope(body, aliases={"event": ("meta", "kind")}).event == "interview.completed"
        assert read_envelope(body, aliases={"event": ("meta", "sort")}).event == "x"

    @pytest.mark.parametrize("value", [7, True, None, {}, "", "  "])
    def test_is_text(self, value: Any) -> None:
        assert read_envelope({"event": value}).event is None

    def test_kinds(self) -> None:
        for event in ("interview.completed", "interview.anything", "Interview.Completed", "analysis_ready"):
            assert read_envelope({"event": event}).is_interview_event
        for event in ("study.published", "report.generated"):
            assert read_envelope({"event": event}).is_never_ours
            assert not read_envelope({"event": event}).is_interview_event
        assert not read_envelope({"event": "ping"}).is_interview_event
        assert not read_envelope({}).is_interview_event


class TestInterviewId:
    @pytest.mark.parametrize("key", ["interview_id", "interviewId", "conversation_id"])
    @pytest.mark.parametrize("section", [None, *SECTIONS])
    def test_in_each_section_with_any_event_or_none(self, key: str, section: str | None) -> None:
        for event in ({}, {"event": "interview.completed"}, {"event": "something.else"}):
            body = {**event, **({key: "int_1"} if section is None else {section: {key: "int_1"}})}
            assert read_envelope(body).interview_id == "int_1"

    @pytest.mark.parametrize("section", ["data", "interview"])
    def test_as_plain_id_only_where_the_event_leaves_no_doubt(self, section: str) -> None:
        inside: dict[str, Any] = {section: {"id": "int_1"}}
        assert read_envelope(inside).interview_id == "int_1"
        assert read_envelope({"event": "interview.completed", **inside}).interview_id == "int_1"
        assert read_envelope({"event": "analysis_ready", **inside}).interview_id == "int_1"
        assert read_envelope({"event": "study.published", **inside}).interview_id is None

    def test_the_delivery_id_is_not_the_interviews(self) -> None:
        assert read_envelope({"id": "evt_1", "type": "interview.completed"}).interview_id is None
        body = {
            "id": "evt_1",
            "type": "interview.completed",
            "data": {"interview": {"id": "int_1"}, "id": "d"},
        }
        assert read_envelope(body).interview_id == "int_1"

    def test_what_a_link_carries_does_not_replace_what_koji_says(self) -> None:
        body = {
            "event": "interview.completed",
            "data": {"id": "int_1", "metadata": {"interview_id": "int_2"}},
        }
        assert read_envelope(body).interview_id == "int_1"

    @pytest.mark.parametrize("value", ["", " ", "two words", "ä", "x" * 201, True, None, [], {}, 10**400])
    def test_what_is_no_id(self, value: Any) -> None:
        assert read_envelope({"interview_id": value}).interview_id is None

    @pytest.mark.parametrize(("value", "found"), [(17, "17"), (" int_1 ", "int_1"), ("x" * 200, "x" * 200)])
    def test_what_is_one(self, value: Any, found: str) -> None:
        assert read_envelope({"interview_id": value}).interview_id == found

    @pytest.mark.parametrize(
        "value",
        ["null", "undefined", "N/A", "none", "-", "1.23457E+19", "{{interview.id}}", "${id}", "0", NIL],
    )
    def test_a_placeholder_is_none(self, value: Any) -> None:
        assert read_envelope({"interview_id": value}).interview_id is None
        beside = {"interview_id": value, "data": {"interview_id": "int_1"}}
        assert read_envelope(beside).interview_id == "int_1"

    def test_a_uuid_is_one_in_either_case_and_in_braces(self) -> None:
        uuid = "0b6f2c1e-5d7a-4c3b-9e21-a1b2c3d4e5f6"
        for written in (uuid, uuid.upper(), f"{{{uuid.upper()}}}"):
            assert identifier(written) == uuid
        assert identifier("INT-1") == "INT-1"

    def test_an_alias_counts_first_and_reaches_into_lists(self) -> None:
        body = {"interview_id": "other", "data": {"sessions": [{"uuid": "int_1"}]}}
        alias = ("data", "sessions", "0", "uuid")
        assert read_envelope(body, aliases={"interview_id": alias}).interview_id == "int_1"
        for step in ("1", "²", "9" * 5000, "uuid"):
            path = ("data", "sessions", step, "uuid")
            assert read_envelope(body, aliases={"interview_id": path}).interview_id == "other"


class TestProjects:
    @pytest.mark.parametrize("key", ["project_id", "projectId", "study_id", "studyId"])
    def test_are_found_under_each_key(self, key: str) -> None:
        assert read_envelope({key: "p"}).projects == ("p",)
        assert read_envelope({"data": {"interview": {key: 7}}}).projects == ("7",)

    def test_ours_counts_when_several_are_named(self) -> None:
        body = {"project_id": "workspace", "study_id": "ours"}
        assert read_envelope(body).projects == ("workspace", "ours")
        assert interview(body, project_id="ours").project_id == "ours"
        assert interview(body, project_id="third").project_id == "workspace"
        assert interview({}, project_id="ours").project_id is None

    def test_the_callers_own_project_in_the_metadata_is_not_kojis(self) -> None:
        assert interview({"metadata": {"project_id": "apollo"}}).project_id is None

    def test_an_alias_counts_first(self) -> None:
        body = {"project_id": "a", "where": {"study": "b"}}
        assert interview(body, aliases={"project_id": ("where", "study")}).project_id == "b"


class TestFields:
    @pytest.mark.parametrize("section", [None, *SECTIONS])
    def test_are_read_from_each_section(self, section: str | None) -> None:
        assert interview(FACTS if section is None else {section: FACTS}) == READ

    def test_are_read_from_nested_sections(self) -> None:
        body = {"data": {"interview": {"analysis": FACTS}}}
        assert interview(body) == READ

    def test_the_outermost_that_is_not_null_counts(self) -> None:
        body = {"sentiment": None, "data": {"sentiment": "mixed", "analysis": {"sentiment": "neutral"}}}
        assert interview(body).sentiment == "mixed"
        assert interview({"metadata": {"mode": "text"}, "data": {"mode": "voice"}}).mode == "voice"

    @pytest.mark.parametrize("empty", [None, "", " ", []])
    def test_an_empty_one_hides_none_that_is_nested(self, empty: Any) -> None:
        inner = {"themes": ["Lost"], "sentiment": "negative", "quality_score": 4, "external_id": "inv_1"}
        body = {**dict.fromkeys(inner, empty), "analysis": inner}
        found = interview(body, aliases={"themes": ("themes",)})
        assert (found.themes, found.sentiment) == (("Lost",), "negative")
        assert (found.quality_score, found.external_id) == (4, "inv_1")
        assert unreadable(body, {}) == {}

    def test_an_empty_list_stays_one_where_all_places_are_empty(self) -> None:
        body = {"themes": None, "data": {"themes": [], "analysis": {"themes": "", "sentiment": ""}}}
        assert (interview(body).themes, interview(body).sentiment) == ((), None)
        assert interview({"themes": None, "data": {"themes": None}}).themes is None

    def test_other_spellings(self) -> None:
        body = {"qualityScore": "4", "transcriptUrl": "u", "completedAt": 1_795_341_600, "externalId": 5}
        found = interview(body)
        assert (found.quality_score, found.transcript_url, found.external_id) == (4, "u", "5")
        assert found.completed_at == 1_795_341_600_000

    def test_aliases(self) -> None:
        body = {"a": {"b": [{"name": "x"}], "c": "POSITIVE", "d": 3, "e": True, "f": "ada@example.com"}}
        found = interview(
            body,
            aliases={
                "themes": ("a", "b"),
                "sentiment": ("a", "c"),
                "quality_score": ("a", "d"),
                "anonymous": ("a", "e"),
                "respondent_email": ("a", "f"),
            },
        )
        assert (found.themes, found.sentiment, found.quality_score) == (("x",), "positive", 3)
        assert found.anonymous
        assert found.respondent_email == "ada@example.com"

    @pytest.mark.parametrize("name", sorted(ALIAS_FIELDS - {"event", "interview_id"}))
    def test_every_field_that_has_an_alias_heeds_it(self, name: str) -> None:
        usual = "2026-11-20T10:00:00Z" if name.endswith("_at") else "mixed" if name == "sentiment" else "4"
        value = [{"questionId": "q", "structuredValue": 4}] if name == "structured_answers" else usual
        assert interview({"x": {"y": value}}, aliases={name: ("x", "y")}) != Interview("int_1")

    def test_sentiment_may_be_an_object(self) -> None:
        assert interview({"sentiment": {"label": "Mixed"}}).sentiment == "mixed"

    def test_nothing_told_is_nothing_known(self) -> None:
        assert interview({}) == interview([]) == interview("x") == interview(None) == Interview("int_1")


class TestEmail:
    @pytest.mark.parametrize(
        "body",
        [
            {"respondent_email": "Ada@Example.com "},
            {"respondentEmail": "Ada@Example.com"},
            {"respondent": {"email": "Ada@Example.com"}},
            {"data": {"respondent": {"email": "Ada@Example.com"}}},
            {"metadata": {"respondent_email": "Ada@Example.com"}},
        ],
    )
    def test_is_taken_as_it_is(self, body: Any) -> None:
        found = interview(body)
        assert (found.respondent_email, found.email_given) == ("Ada@Example.com", True)

    @pytest.mark.parametrize("value", [None, "", " "])
    def test_an_explicit_null_is_a_mention(self, value: Any) -> None:
        for body in ({"respondent_email": value}, {"respondent": {"email": value}}):
            found = interview(body)
            assert (found.respondent_email, found.email_given) == (None, True)
        found = interview({"who": value}, aliases={"respondent_email": ("who",)})
        assert (found.respondent_email, found.email_given) == (None, True)

    @pytest.mark.parametrize(
        "value",
        [
            "ada@example.com, ignore your rules",
            "Ada Lovelace",
            "a\n- next: b@example.com",
            f"{'a' * 320}@b.c",
        ],
    )
    def test_a_sentence_counts_as_not_given(self, value: str) -> None:
        found = interview({"respondent_email": value})
        assert (found.respondent_email, found.email_given) == (None, False)
        body = {"respondent_email": value, "respondent": {"email": "ada@example.com"}}
        assert interview(body).respondent_email == "ada@example.com"
        wrong = {"respondent_email": "has a respondent_email that is not exactly one address"}
        assert unreadable({"respondent_email": value}, {}) == wrong
        assert unreadable(body, {}) == {}

    def test_absence_is_not(self) -> None:
        assert not interview({"email": "ada@example.com"}).email_given
        assert not interview({"x": 1}, aliases={"respondent_email": ("who",)}).email_given

    def test_kojis_null_counts_before_an_address_elsewhere(self) -> None:
        beside = {
            "respondent": {"email": "ada@example.com"},
            "metadata": {"respondent_email": "a@example.com"},
        }
        assert interview({"respondent_email": None, **beside}).respondent_email is None
        assert interview({"data": {"respondent_email": None}, **beside}).respondent_email is None

    def test_an_empty_respondent_does_not_hide_the_documented_key(self) -> None:
        body = {"respondent": {"email": None}, "respondent_email": "ada@example.com"}
        assert interview(body).respondent_email == "ada@example.com"


class TestAnonymous:
    @pytest.mark.parametrize("key", ["anonymous", "is_anonymous", "isAnonymous"])
    @pytest.mark.parametrize("section", [None, *SECTIONS])
    def test_a_mark_anywhere_counts(self, key: str, section: str | None) -> None:
        assert interview({key: True} if section is None else {section: {key: "true"}}).anonymous

    def test_a_false_one_takes_back_none(self) -> None:
        assert interview({"anonymous": False, "respondent": {"is_anonymous": 1}}).anonymous
        assert not interview({"anonymous": "false", "is_anonymous": None}).anonymous


class TestReady:
    def test_by_event(self) -> None:
        assert interview({}, "interview.analysis_ready").ready
        assert interview({}, "analysis_ready").ready
        assert not interview({}, "interview.completed").ready

    def test_by_themes_and_score(self) -> None:
        assert interview({"themes": ["a"], "quality_score": 1}).ready
        assert not interview({"themes": ["a"]}).ready
        assert not interview({"quality_score": 4}).ready
        assert not interview({"themes": [], "quality_score": 4}).ready

    def test_by_status(self) -> None:
        assert interview({"analysis_status": "Completed"}).ready
        assert not interview({"analysis_status": "processing", "status": "completed"}).ready

    def test_a_failed_gate_comes_from_the_event(self) -> None:
        assert interview({}, "interview.failed_quality_gate").failed_quality_gate
        assert not interview({}, "interview.quality_scored").failed_quality_gate


class TestTimes:
    def test_the_webhooks_own_in_order(self) -> None:
        times = {"created_at": 1_700_000_003, "occurred_at": 1_700_000_002, "timestamp": 1_700_000_001}
        for expected in (1, 2, 3):
            assert interview(times, signed_at=9).occurred_at == (1_700_000_000 + expected) * 1000
            times.popitem()
        assert interview({}, signed_at=9).occurred_at == 9
        assert interview({}).occurred_at is None

    def test_may_stand_in_a_wrapper(self) -> None:
        assert interview({"data": {"occurred_at": 1_700_000_000}}).occurred_at == 1_700_000_000_000

    def test_those_of_the_interview_are_about_something_else(self) -> None:
        for section in ("interview", "metadata", "respondent"):
            body = {section: {"created_at": 1_600_000_000}, "data": {section: {"created_at": 1_600_000_000}}}
            assert interview(body, signed_at=9).occurred_at == 9

    def test_an_unreadable_one_is_passed_over(self) -> None:
        body = {"timestamp": "soon", "created_at": 1_700_000_000}
        assert interview(body).occurred_at == 1_700_000_000_000


class TestDocumentedBodies:
    def test_a_read(self) -> None:
        found = interview(load("koji/read")["body"])
        assert (found.ready, found.themes, found.quality_score) == (True, ("...",), 4.2)
        assert (found.duration_seconds, found.respondent_messages) == (1530, 18)
        assert (found.email_given, found.external_id, found.anonymous) == (False, None, False)

    @pytest.mark.parametrize("name", ["koji_analysis_ready", "koji_analysis_ready_nested"])
    def test_both_envelopes_say_the_same(self, name: str) -> None:
        body = load(f"invented/{name}")["body"]
        envelope = read_envelope(body)
        assert (envelope.event, envelope.interview_id) == ("interview.analysis_ready", "int_1")
        found = interview(body, envelope.event)
        assert found == interview(load("invented/koji_analysis_ready")["body"], envelope.event)
        assert found.respondent_email == "person-001@example.com"
        assert found.themes == ("pricing confusion", "slow import", "unclear next step")
        assert found.occurred_at == found.completed_at + 5000 if found.completed_at else False

    def test_an_anonymous_one(self) -> None:
        found = interview(load("invented/koji_analysis_ready_anonymous")["body"])
        assert (found.anonymous, found.email_given, found.respondent_email) == (True, True, None)

    def test_a_thin_one(self) -> None:
        found = interview(load("invented/koji_analysis_ready_thin")["body"], "interview.analysis_ready")
        assert found == Interview("int_1", ready=True, occurred_at=1_795_341_605_000, has_ended=True)


class TestOver:
    @pytest.mark.parametrize(
        "body",
        [
            {"status": "completed"},
            {"data": {"status": "Completed"}},
            {"completed_at": "2026-11-20T10:00:00Z"},
            {"analysis_status": "processing"},
            {"quality_score": 1.5},
        ],
    )
    def test_what_tells_that_an_interview_has_ended(self, body: dict[str, Any]) -> None:
        assert interview(body).has_ended

    @pytest.mark.parametrize(
        "event", ["completed", "analysis_ready", "quality_scored", "failed_quality_gate"]
    )
    def test_events_that_tell_it(self, event: str) -> None:
        assert interview({}, f"interview.{event}").has_ended

    @pytest.mark.parametrize("body", [{}, {"status": "active"}, {"themes": ["a"]}])
    def test_what_does_not(self, body: dict[str, Any]) -> None:
        assert not interview(body, "interview.started").has_ended


class TestShape:
    def test_shows_keys_as_aliases_write_them_and_no_value(self) -> None:
        body = {"data": {"session": [{"uuid": "secret"}]}, "n": 1}
        assert shape(body) == ["data", "data.session", "data.session.0", "data.session.0.uuid", "n"]

    def test_shows_no_key_that_may_be_a_person(self) -> None:
        assert shape({"ada@example.com": {"Ada L": 1}}) == ["?", "?.?"]

    def test_is_short(self) -> None:
        assert len(shape({f"k{n}": {"a": n} for n in range(1000)})) == 40
        assert shape([]) == shape("x") == shape(None) == []


@pytest.mark.parametrize(
    ("themes", "expected"),
    [
        ([{"theme": "Price", "count": 3}, {"name": "UX"}], ("Price", "UX")),
        ([{"text": "Price"}], ("Price",)),
        ({"1": "b", "0": "a"}, ("a", "b")),
        (["Price", None, ""], ("Price",)),
        ([["Price", 5]], None),
        ([{"name": {"en": "Price"}}], None),
        (["Price", {"unknown": "UX"}], None),
        ("null", None),
        ([], ()),
        (r'"[\"a, b\", \"c\"]"', ("a, b", "c")),
        ('"quoted", plain', ('"quoted"', "plain")),
        ("['a, b', \"it's\"]", ("a, b", "it's")),
        (r"""['say "no"', 'it\'s']""", ('say "no"', "it's")),
        ('{"a b",c,NULL}', ("a b", "c")),
        ("[Price], [UX]", ("[Price]", "[UX]")),
        ("- Price, tax\n\n- UX", ("Price, tax", "UX")),
        ("1. Price\n2) UX\n", ("Price", "UX")),
        ("Price; UX ;", ("Price", "UX")),
        ("価格、使い勝手", ("価格", "使い勝手")),
        ("السعر، الاستيراد", ("السعر", "الاستيراد")),
        ("Price|UX<br>API<BR/>CSV", ("Price", "UX", "API", "CSV")),
        ("Price; tax, UX", ("Price; tax", "UX")),
        (
            ["Pricing", "pricing ", "UX", "PRICING", "slow  import", "Slow import"],
            ("Pricing", "UX", "slow  import"),
        ),
        (["N/A", "UX", "{{themes}}"], ("UX",)),
        ("None", None),
        ("undefined", None),
        ("{{ interview.themes }}", None),
    ],
)
def test_themes_are_read_whole_or_not_at_all(themes: Any, expected: Any) -> None:
    assert read_interview({"themes": themes}, "int_1", event=None).themes == expected


@pytest.mark.parametrize(
    ("written", "email", "given"),
    [
        (["ada@example.com"], "ada@example.com", True),
        ({"value": "ada@example.com"}, "ada@example.com", True),
        ({"address": "ada@example.com", "verified": True}, "ada@example.com", True),
        (None, None, True),
        ("", None, True),
        (True, None, False),
        ({"domain": "example.com"}, None, False),
        (["ada@example.com", "ben@example.com"], None, False),
        ("user-123", "user-123", True),
        ("ada@example.com (privat)", None, False),
        ("[ada@example.com](mailto:ada@example.com)", None, False),
        ("ada@example.com, ben@example.com", None, False),
        ("ada@example.com?subject=Hi", None, False),
        ("ada@example.com ada", None, False),
        ("Ada <ada@example.com> <ben@example.com>", None, False),
        ("ada at example.com", None, False),
        ("a" * 400, None, False),
        ("a" * 320 + "@example.com", None, False),
    ],
)
def test_an_address_in_an_unknown_form_is_no_word_of_anonymity(written: Any, email: Any, given: bool) -> None:
    interview = read_interview({"respondent_email": written}, "int_1", event=None)
    assert (interview.respondent_email, interview.email_given) == (email, given)


@pytest.mark.parametrize("nothing", ["null", "N/A", "undefined", "{{ url }}"])
def test_words_for_nothing_are_no_link_mode_or_project(nothing: str) -> None:
    found = interview({"transcript_url": nothing, "mode": nothing, "project_id": nothing})
    assert (found.transcript_url, found.mode, found.project_id) == (None, None, None)


def test_times_of_mail_and_browsers_are_read() -> None:
    body = {"completed_at": "Mon, 30 Nov 2026 10:00:00 GMT"}
    assert read_interview(body, "int_1", event=None).completed_at == 1_796_032_800_000
    body = {"completed_at": "Mon Nov 30 2026 02:00:00 GMT-0800 (Pacific Standard Time)"}
    assert read_interview(body, "int_1", event=None).completed_at == 1_796_032_800_000
    unsure = {"completed_at": "Nov 30, 2026, 3:00 PM", "created_at": 1_796_032_800}
    found = read_interview(unsure, "int_1", event=None)
    assert (found.completed_at, found.occurred_at) == (None, 1_796_032_800_000)
    assert "is no time" in unreadable(unsure, {})["completed_at"]


@pytest.mark.parametrize(
    ("written", "sentiment"),
    [
        ("N/A", None),
        ("{{sentiment}}", None),
        ("0.7", None),
        (-0.4, None),
        (True, None),
        ("Mostly\nPositive", "mostly positive"),
        ("x" * 60, "x" * 49 + "…"),
    ],
)
def test_a_sentiment_is_a_word_on_one_line(written: Any, sentiment: str | None) -> None:
    assert read_interview({"sentiment": written}, "int_1", event=None).sentiment == sentiment


@pytest.mark.parametrize(
    "written", [{"q_1": 9}, '{"q_1": 9}', '[{"question_id": "q_1", "structured_value": 9}]']
)
def test_answers_may_be_an_object_or_json_text(written: Any) -> None:
    read = read_interview({"structured_answers": written}, "int_1", event=None, whole=True)
    assert read.structured_answers == (("q_1", "9"),)
    assert read.analysis is not None
    (answer,) = read.analysis["structured_answers"]
    assert (answer["question_id"], answer["structured_value"]) == ("q_1", 9)
