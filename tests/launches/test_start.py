"""What Koji is told with a start, what a person is handed, and what it costs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.launches.credits import day_of, next_day, price
from connector.domain.launches.launch import (
    Invitation,
    InvitationState,
    KojiStart,
    Launch,
    LaunchOptions,
    LaunchStatus,
)
from connector.domain.launches.respondent_link import StartRules, fill, has_no_link, link_of, needs
from connector.domain.launches.start import DAY, HOUR, body_of, next_poll, start_result
from connector.domain.lease import Lease
from connector.errors import InvalidInput
from connector.operations.launch_cohort_interviews import LaunchInput
from connector.operations.plan_cohort_launch import PlanInput
from connector.operations.start_interview import StartInput
from connector.service.input.validate import read_input
from connector.settings.model import DEFAULT_LINK, Connection
from connector.settings.rules import start_rules
from connector.workers.koji.follow_ups import FollowUps
from tests.support.fakes import ManualClock

pytestmark = pytest.mark.unit

NOW = 1_790_000_000_000
ID = "inv_" + "0" * 32
NO_CALL = KojiStart(None, None, None)


def rules(**told: Any) -> StartRules:
    return start_rules(Connection(**told))


def a_launch(cohort_id: str | None = None, **options: Any) -> Launch:
    return Launch(
        id="lau_1",
        connection="default",
        status=LaunchStatus.RUNNING,
        created_at=NOW,
        options=LaunchOptions(max_interviews=10, **options),
        goes_on=True,
        cohort_id=cohort_id,
    )


def an_invitation(**told: Any) -> Invitation:
    values: dict[str, Any] = {"user_id": "u-1", "email": "ada@example.com", "name": "Ada", **told}
    return Invitation(ID, "default", "lau_1", 0, InvitationState.SENDING, 1, NOW, NOW, **values)


class TestBody:
    def test_is_exactly_what_koji_documents(self) -> None:
        launch = a_launch("c-1", mode="voice", locale="de", variant="B", metadata={"plan": "trial"})
        assert body_of(rules(), launch, an_invitation()) == {
            "respondent": {
                "external_id": ID,
                "display_name": "Ada",
                "metadata": {
                    "plan": "trial",
                    "email": "ada@example.com",
                    "launch_id": "lau_1",
                    "cohort_id": "c-1",
                    "variant": "B",
                },
            },
            "mode": "voice",
            "locale": "de",
        }

    def test_what_is_unknown_is_left_out(self) -> None:
        body = body_of(rules(), a_launch(), an_invitation(email=None, name=None))
        assert body == {"respondent": {"external_id": ID, "metadata": {"launch_id": "lau_1"}}}

    def test_ours_win_and_an_email_goes_only_where_it_may(self) -> None:
        launch = a_launch(metadata={"launch_id": "theirs", "email": "theirs@example.com"})
        told = body_of(rules(), launch, an_invitation())["respondent"]["metadata"]
        assert told == {"launch_id": "lau_1", "email": "ada@example.com"}
        quiet = body_of(rules(koji_send_email=False), launch, an_invitation())["respondent"]["metadata"]
        assert quiet == {"launch_id": "lau_1"}


class TestLinks:
    def test_values_are_encoded_and_empty_parameters_dropped(self) -> None:
        filled = fill(
            "{base}/x?a={name}&b={mode}&c=1#{locale}", {"base": "https://k.example", "name": "A&B ü"}
        )
        assert filled == "https://k.example/x?a=A%26B%20%C3%BC&c=1#"

    def test_a_query_that_is_empty_leaves_no_mark(self) -> None:
        assert fill("{base}/x?a={name}", {"base": "https://k.example"}) == "https://k.example/x"

    @given(st.text(max_size=20).filter(lambda t: t.isprintable()))
    def test_any_value_comes_back(self, value: str) -> None:
        link = fill("{base}/x?v={name}", {"base": "https://k.example", "name": value})
        assert parse_qs(urlsplit(link).query).get("v", [""]) == [value]

    def test_the_usual_one_needs_a_project(self) -> None:
        assert "project_id" in needs(DEFAULT_LINK)
        assert has_no_link(rules())
        assert link_of(rules(), a_launch(), an_invitation(), None) is None
        settings = rules(koji_project_id="p 1")
        assert link_of(settings, a_launch(mode="text"), an_invitation(), None) == (
            f"https://koji.so/api/v1/embed/p%201?external_id={ID}&mode=text"
        )

    def test_an_email_stands_in_a_link_only_where_it_may_go_to_koji(self) -> None:
        template = "{base}/i?e={email}"
        told = link_of(rules(koji_link_template=template), a_launch(), an_invitation(), None)
        assert told == "https://koji.so/i?e=ada%40example.com"
        quiet = rules(koji_link_template=template, koji_send_email=False)
        assert link_of(quiet, a_launch(), an_invitation(), None) == "https://koji.so/i"


class TestHanded:
    def test_kojis_own_link_counts_first(self) -> None:
        settings = rules(koji_project_id="p", koji_complete_after_hours=48)
        answer = KojiStart("int_1", "st_1", "https://koji.so/i/1")
        got = start_result(settings, a_launch(), an_invitation(), answer, NOW)
        assert (got.link, got.due, got.complete_due) == ("https://koji.so/i/1", NOW + HOUR, NOW + 48 * HOUR)

    def test_without_an_id_nothing_can_be_read_or_ended(self) -> None:
        got = start_result(
            rules(koji_complete_after_hours=1),
            a_launch(),
            an_invitation(),
            NO_CALL,
            NOW,
        )
        assert (got.interview_id, got.due, got.complete_due) == (None, NOW + 30 * DAY, None)
        half = KojiStart(None, "st_1", None)
        got = start_result(rules(koji_complete_after_hours=1), a_launch(), an_invitation(), half, NOW)
        assert (got.session_token, got.complete_due) == ("st_1", None)
        link = start_result(rules(koji_project_id="p"), a_launch(), an_invitation(), NO_CALL, NOW)
        assert (link.interview_id, link.due) == (None, NOW + 30 * DAY)
        assert link.link

    def test_silent_ones_are_read_seven_times(self) -> None:
        times = []
        invitation = an_invitation(interview_id="int_1", started_at=NOW)
        while (due := next_poll(invitation)) is not None:
            times.append((due - NOW) // HOUR)
            invitation = invitation._replace(polls=invitation.polls + 1)
        assert times == [6, 24, 72, 168, 336, 720]
        assert next_poll(an_invitation(started_at=NOW)) is None


async def test_an_interview_of_unknown_id_is_not_ended_at_koji() -> None:
    ending = an_invitation(session_token="sealed", complete_due=NOW)
    invitations = AsyncMock()
    world: Any = SimpleNamespace(ledger=SimpleNamespace(invitations=invitations), clock=ManualClock())
    koji, pause = AsyncMock(), AsyncMock()
    lease = Lease("koji:1", "me", 1, NOW, 0)
    await FollowUps(world, ["default"], koji, pause).step(lease, ending, ending=True)
    assert koji.mock_calls == []
    invitations.completing.assert_awaited_once_with(lease, ID, None)


@pytest.mark.parametrize(
    ("mode", "default", "credits_"),
    [("text", None, 1), ("voice", "text", 3), (None, None, 3), (None, "text", 1), (None, "voice", 3)],
)
def test_what_an_interview_costs(mode: str | None, default: str | None, credits_: int) -> None:
    assert price(LaunchOptions(max_interviews=7, mode=mode), default) == credits_
    assert price(LaunchOptions(max_interviews=7, mode=mode), default, 7) == 7 * credits_


def test_days_are_utc() -> None:
    midnight = day_of(NOW) * DAY
    assert day_of(midnight) == day_of(midnight + DAY - 1) == day_of(midnight - 1) + 1
    assert next_day(NOW) == midnight + DAY


def test_every_start_has_one_limit_of_metadata() -> None:
    for model in (StartInput, PlanInput, LaunchInput):
        with pytest.raises(InvalidInput, match="metadata is larger"):
            read_input(model, {"metadata": {"a": "x" * 20_000}})
