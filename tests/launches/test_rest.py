"""When a person may be asked again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.launches.launch import InvitationState
from connector.domain.launches.rest import DAY, NO_RESTS, Asked, Rest, RestRules, rest_of

pytestmark = pytest.mark.unit

NOW = 1_790_000_000_000
STARTED, COMPLETED, EXPIRED = InvitationState.STARTED, InvitationState.COMPLETED, InvitationState.EXPIRED


def asked(days_ago: float, state: InvitationState = STARTED, changed: float | None = None) -> Asked:
    changed = days_ago if changed is None else changed
    return Asked("other", state, NOW - int(days_ago * DAY), NOW - int(changed * DAY))


@pytest.mark.parametrize(
    ("rules", "one", "rest"),
    [
        (RestRules(after_invitation=30), asked(29), Rest("after_invitation", NOW + DAY)),
        (RestRules(after_invitation=30), asked(30), None),
        (RestRules(after_interview=90), asked(100, COMPLETED, 80), Rest("after_interview", NOW + 10 * DAY)),
        (RestRules(after_interview=90), asked(80, STARTED), None),
        (RestRules(without_answer=60), asked(80, EXPIRED, 50), Rest("without_answer", NOW + 10 * DAY)),
        (RestRules(without_answer=60), asked(10, COMPLETED), None),
        (RestRules(most=1, window=365), asked(364), Rest("max_invitations", NOW + DAY)),
        (RestRules(most=2, window=365), asked(1), None),
        (
            RestRules(after_invitation=2),
            asked(9, InvitationState.WAITING),
            Rest("after_invitation", NOW + 2 * DAY),
        ),
        (NO_RESTS, asked(0), None),
    ],
)
def test_each_rule(rules: RestRules, one: Asked, rest: Rest | None) -> None:
    assert rest_of([one], rules, NOW) == rest


def test_the_window_rolls() -> None:
    rules = RestRules(most=3, window=365)
    assert rest_of([asked(n) for n in (300, 200, 100)], rules, NOW) == Rest("max_invitations", NOW + 65 * DAY)
    assert rest_of([asked(n) for n in (366, 200, 100)], rules, NOW) is None


def test_the_rule_that_lasts_longest_is_named() -> None:
    rules = RestRules(after_invitation=30, after_interview=90)
    assert rest_of([asked(5, COMPLETED, 3)], rules, NOW) == Rest("after_interview", NOW + 87 * DAY)


@given(
    st.lists(st.builds(asked, st.integers(0, 400), st.sampled_from(list(InvitationState))), max_size=6),
    st.builds(RestRules, *[st.integers(0, 200)] * 3, st.integers(0, 3), st.integers(1, 365)),
)
def test_a_rest_ends_when_it_says(history: list[Asked], rules: RestRules) -> None:
    sent = [one for one in history if one.state not in (InvitationState.WAITING, InvitationState.SENDING)]
    rest = rest_of(sent, rules, NOW)
    if rest is not None:
        assert rest_of(sent, rules, rest.until - 1) is not None
        assert rest_of(sent, rules, rest.until) is None
