"""What a receipt shows of the two writes."""

from __future__ import annotations

import pytest

from connector.service.views.sync import flat
from tests.support.fakes import a_sync

pytestmark = pytest.mark.unit


def test_the_identify_is_named_only_when_it_went_along() -> None:
    sync = a_sync(interview_id="int-1")._replace(event='{"event_type": "e"}', identify='{"event_type": "i"}')
    assert flat(sync)["identify_insert_id"] == "koji:int-1:identify"
    left_out = sync._replace(attempts=({"at": 1, "outcome": "accepted", "identify": False},))
    assert flat(left_out)["identify_insert_id"] is None
    assert flat(left_out)["event_insert_id"] == "koji:int-1:completed"
