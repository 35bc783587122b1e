"""Let people rest: decide from what a person was asked before, on any connection, when to ask again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from connector.domain.launches.launch import InvitationState

DAY = 86_400_000  # ms
LATELY = 7 * DAY
"""How long after another connection's invitation a plan warns."""
_GOING = (InvitationState.WAITING, InvitationState.SENDING)


class RestRules(NamedTuple):
    """The days of each rest, 0 for none; at most `most` invitations within `window` days, 0 for no limit."""

    after_invitation: int = 0
    after_interview: int = 0
    without_answer: int = 0
    most: int = 0
    window: int = 0


NO_RESTS = RestRules()


class Asked(NamedTuple):
    """An invitation of a person on any connection: when it was made, and when its state last changed (ms)."""

    connection: str
    state: InvitationState
    at: int
    changed_at: int


class Recorded(NamedTuple):
    """What the register over all connections holds of a person.

    `is_partial` says that a row also names aliases that the register does not know as this person's.
    """

    opted_out: bool = False
    asked: Sequence[Asked] = ()
    is_partial: bool = False


class Rest(NamedTuple):
    """A rule that keeps a person from being asked until a time (ms)."""

    rule: str
    until: int


def rest_of(asked: Sequence[Asked], rules: RestRules, now: int) -> Rest | None:
    """Return the rest that a person has now, the one that ends last, or None.

    An invitation that is not sent yet counts as made now.
    """
    if rules == NO_RESTS or not asked:
        return None
    times = sorted((now if each.state in _GOING else each.at for each in asked), reverse=True)
    rests = [Rest("after_invitation", times[0] + rules.after_invitation * DAY)]
    for rule, days, state in (
        ("after_interview", rules.after_interview, InvitationState.COMPLETED),
        ("without_answer", rules.without_answer, InvitationState.EXPIRED),
    ):
        rests += [Rest(rule, each.changed_at + days * DAY) for each in asked if each.state is state]
    if rules.most and len(times) >= rules.most:
        rests.append(Rest("max_invitations", times[rules.most - 1] + rules.window * DAY))
    last = max(rests, key=lambda rest: rest.until)
    return last if last.until > now else None
