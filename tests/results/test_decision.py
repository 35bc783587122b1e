"""What ought to happen to an interview, sentence by sentence of the contract."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connector.domain.results.decision import Decision, Verdict, completion, decide
from connector.domain.results.interview import Interview
from connector.settings.model import Connection
from connector.settings.rules import sync_rules

pytestmark = pytest.mark.unit

CONNECTION = Connection(koji_api_key=SecretStr("koji-key"), amplitude_api_key=SecretStr("amplitude-key"))
FULL = Interview(
    "int_1",
    ready=True,
    email_given=True,
    respondent_email="ada@example.com",
    themes=("pricing",),
    quality_score=4.2,
    completed_at=1_795_341_600_000,
)
SYNC = Decision(Verdict.SYNC, None, "ada@example.com")
WAITING = Decision(Verdict.PENDING, "waiting_for_koji")
NOT_READY = Decision(Verdict.PENDING, "analysis_not_ready")


def decided(connection: Connection = CONNECTION, /, **changes: Any) -> Decision:
    options = {
        name: changes.pop(name)
        for name in ("was_read", "from_call", "backfill", "gave_up")
        if name in changes
    }
    return decide(FULL._replace(**changes), sync_rules(connection), **options)


def with_setting(**settings: Any) -> Connection:
    return CONNECTION.model_copy(update=settings)


def skip(reason: str) -> Decision:
    return Decision(Verdict.SKIP, reason)


def test_a_whole_interview_is_synced_without_a_read() -> None:
    assert decided() == SYNC


class TestWhenKojiIsRead:
    def test_while_themes_or_score_are_missing(self) -> None:
        assert decided(themes=None) == decided(quality_score=None) == WAITING

    def test_while_neither_key_came_and_nothing_says_anonymous(self) -> None:
        untold = {"email_given": False, "respondent_email": None}
        assert decided(**untold) == WAITING
        assert decided(**untold, anonymous=True) == skip("anonymous")
        assert decided(**untold, external_id="user-1") == skip("anonymous")
        assert decided(respondent_email=None) == skip("anonymous")

    def test_not_for_other_missing_fields(self) -> None:
        assert decided(sentiment=None, transcript_url=None, mode=None, completed_at=None) == SYNC

    def test_not_after_an_anonymous_mark_or_a_score_below_the_gate(self) -> None:
        assert decided(themes=None, anonymous=True) == skip("anonymous")
        assert decided(themes=None, ready=False, quality_score=2) == skip("below_quality_gate")
        untold = {"email_given": False, "respondent_email": None}
        assert decided(**untold, quality_score=2, themes=None) == skip("below_quality_gate")

    def test_a_read_is_asked_only_once_for_what_it_lacks(self) -> None:
        assert decided(themes=None, was_read=True) == SYNC
        untold = {"email_given": False, "respondent_email": None}
        assert decided(**untold, was_read=True) == skip("anonymous")

    def test_a_caller_who_tells_values_spares_the_read(self) -> None:
        assert decided(themes=None, ready=False, from_call=True) == SYNC
        assert decided(quality_score=None, from_call=True) == skip("no_quality_score")


class TestReadiness:
    def test_what_is_not_ready_waits(self) -> None:
        assert decided(ready=False, was_read=True) == NOT_READY
        assert decided(ready=False, was_read=True, quality_score=None) == NOT_READY

    def test_a_read_that_says_processing_beats_an_event_that_came_too_early(self) -> None:
        status = {"analysis_status": "processing", "quality_score": None, "was_read": True}
        assert decided(**status) == NOT_READY
        assert decided(**status, gave_up=True) == skip("no_quality_score")

    def test_after_the_wait_the_missing_score_is_the_reason(self) -> None:
        gone = {"ready": False, "was_read": True, "gave_up": True}
        assert decided(**gone, quality_score=None) == skip("no_quality_score")
        assert decided(**gone, themes=()) == SYNC

    def test_ready_without_a_score(self) -> None:
        assert decided(quality_score=None, was_read=True) == skip("no_quality_score")

    def test_a_failed_analysis_ends_it_at_once(self) -> None:
        assert decided(analysis_status="failed", ready=False, themes=None) == skip("analysis_failed")


class TestGate:
    @pytest.mark.parametrize(
        ("score", "verdict"), [(3, Verdict.SYNC), (3.0, Verdict.SYNC), (2.999, Verdict.SKIP)]
    )
    def test_is_inclusive(self, score: float, verdict: Verdict) -> None:
        assert decided(quality_score=score).verdict is verdict

    def test_is_a_setting(self) -> None:
        assert decided(with_setting(connector_min_quality=4.5)) == skip("below_quality_gate")
        assert decided(with_setting(connector_min_quality=0), quality_score=0) == SYNC

    def test_the_event_of_a_failed_gate_counts_only_without_a_score(self) -> None:
        assert decided(failed_quality_gate=True, quality_score=None, themes=None) == skip(
            "below_quality_gate"
        )
        assert decided(failed_quality_gate=True) == SYNC


class TestOrder:
    def test_the_first_reason_that_applies(self) -> None:
        worst = {
            "project_id": "theirs",
            "anonymous": True,
            "analysis_status": "failed",
            "quality_score": 1,
            "completed_at": None,
        }
        connection = with_setting(koji_project_id="ours")
        options = {"was_read": True, "backfill": True}
        assert decided(connection, **worst, **options) == skip("other_project")
        worst.pop("project_id")
        assert decided(connection, **worst, **options) == skip("anonymous")
        worst.pop("anonymous")
        assert decided(connection, **worst, **options) == skip("analysis_failed")
        worst.pop("analysis_status")
        assert decided(connection, **(worst | {"quality_score": None}), **options) == skip("no_quality_score")
        assert decided(connection, **worst, **options) == skip("below_quality_gate")
        worst.pop("quality_score")
        assert decided(connection, **worst, **options) == skip("no_completion_time")
        assert decided(connection, **options) == SYNC

    def test_another_project_only_when_ours_is_set_and_the_body_names_one(self) -> None:
        assert decided(project_id="theirs") == SYNC
        assert decided(with_setting(koji_project_id="ours")) == SYNC
        assert decided(with_setting(koji_project_id="ours"), project_id="ours") == SYNC

    def test_no_completion_time_is_a_reason_in_a_backfill_alone(self) -> None:
        assert decided(completed_at=None) == SYNC
        assert decided(completed_at=None, backfill=True) == skip("no_completion_time")
        assert decided(completed_at=None, occurred_at=1, backfill=True) == SYNC


class TestIdentity:
    def test_unusable_ids_fail_before_anything_is_sent(self) -> None:
        assert decided(respondent_email="a@b") == Decision(Verdict.FAIL, "invalid_user_id", "a@b")
        assert decided(respondent_email="Anonymous").reason == "invalid_user_id"
        assert (
            decided(with_setting(amplitude_min_id_length=3), respondent_email="a@b").verdict is Verdict.SYNC
        )

    def test_a_trusted_external_id(self) -> None:
        stranger = {"email_given": False, "respondent_email": None, "external_id": "user-1"}
        trusting = with_setting(connector_trust_external_id=True)
        assert decided(trusting, **stranger) == Decision(Verdict.SYNC, None, "user-1")
        null = {"respondent_email": None, "external_id": "user-1"}
        assert decided(trusting, **null) == Decision(Verdict.SYNC, None, "user-1")
        strict = with_setting(connector_trust_external_id=True, connector_null_email_is_anonymous=True)
        assert decided(strict, **null) == skip("anonymous")


def test_the_completion_is_kojis_word_else_the_webhooks() -> None:
    assert completion(FULL._replace(completed_at=1, occurred_at=2)) == 1
    assert completion(FULL._replace(completed_at=None, occurred_at=2)) == 2
    assert completion(FULL._replace(completed_at=None)) is None


@given(
    st.builds(
        Interview,
        st.just("int_1"),
        ready=st.booleans(),
        analysis_status=st.sampled_from([None, "failed", "processing", "completed"]),
        anonymous=st.booleans(),
        failed_quality_gate=st.booleans(),
        analysis=st.none(),
        email_given=st.booleans(),
        respondent_email=st.sampled_from([None, "ada@example.com", "none"]),
        external_id=st.sampled_from([None, "user-1"]),
        themes=st.sampled_from([None, (), ("a",)]),
        quality_score=st.sampled_from([None, 0, 2.9, 3, 5]),
        completed_at=st.sampled_from([None, 5]),
        project_id=st.sampled_from([None, "ours", "theirs"]),
    ),
    st.tuples(*[st.booleans()] * 4),
    st.booleans(),
)
def test_only_a_named_person_above_the_gate_is_ever_synced(
    interview: Interview, options: tuple[bool, bool, bool, bool], trust: bool
) -> None:
    was_read, from_call, backfill, gave_up = options
    connection = with_setting(connector_trust_external_id=trust, koji_project_id="ours")
    decision = decide(
        interview,
        sync_rules(connection),
        was_read=was_read,
        from_call=from_call,
        backfill=backfill,
        gave_up=gave_up,
    )
    if decision.verdict is Verdict.SYNC:
        assert not interview.anonymous
        assert decision.user_id in (interview.invitee, interview.respondent_email, interview.external_id)
        assert interview.quality_score is not None
        assert interview.quality_score >= 3
        assert interview.project_id != "theirs"
    else:
        assert decision.reason
    if was_read and gave_up:
        assert decision.verdict is not Verdict.PENDING
