"""What a receipt shows of the two writes."""

from __future__ import annotations

import pytest

from connector.domain.results.interview import Interview
from connector.domain.results.sync import InboundWebhook
from connector.service.views.sync import flat, receipt
from connector.settings.model import Connection
from tests.support.fakes import a_sync

pytestmark = pytest.mark.unit


def test_the_identify_is_named_only_when_it_went_along() -> None:
    sync = a_sync(interview_id="int-1")._replace(event='{"event_type": "e"}', identify='{"event_type": "i"}')
    assert flat(sync)["identify_insert_id"] == "koji:int-1:identify"
    left_out = sync._replace(attempts=({"at": 1, "outcome": "accepted", "identify": False},))
    assert flat(left_out)["identify_insert_id"] is None
    assert flat(left_out)["event_insert_id"] == "koji:int-1:completed"


def test_a_completion_that_cannot_be_read_is_told_unless_koji_gave_one() -> None:
    sync = a_sync(interview_id="int-1")._replace(facts=Interview("int-1"))
    came = InboundWebhook(
        "default", 1_790_000_000_000, "webhook", "done", body='{"completed_at": "next week"}'
    )
    told = receipt(sync, [came], Connection(name="default"))
    assert told.warning is not None
    assert "completed_at" in told.warning
    known = sync._replace(facts=Interview("int-1", completed_at=1_790_000_000_000))
    assert receipt(known, [came], Connection(name="default")).warning is None
    for email in (
        '"respondent_email": "ann@example.com, x"',
        '"respondent": {"email": "ann@example.com ann"}',
    ):
        wrong = came._replace(body="{" + email + "}")
        told = receipt(known, [wrong], Connection(name="default"))
        assert told.warning == (
            "What came in has a respondent_email that is not exactly one address. It counts as not given."
        )
    assert receipt(sync, [came._replace(body=None)], Connection(name="default")).warning is None


@pytest.mark.parametrize(
    "body",
    [
        '{"quality_score": "4,2"}',
        '{"completed_at": "2099-01-01"}',
        '{"completed_at": "1999-01-01"}',
        '{"sentiment": 0.7}',
        '{"sentiment": "{{mood}}"}',
    ],
)
def test_a_value_that_cannot_be_read_is_told(body: str) -> None:
    sync = a_sync(interview_id="int-1")._replace(facts=Interview("int-1"))
    came = InboundWebhook("default", 1_790_000_000_000, "webhook", "done", body=body)
    warning = receipt(sync, [came], Connection(name="default")).warning
    assert warning is not None
    assert body.split('"')[1] in warning
