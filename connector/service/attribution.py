"""Recognise invited people in interviews that came back with an external id of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from connector.context import Context
from connector.domain.launches.launch import Invited
from connector.domain.results.decision import SyncRules
from connector.domain.results.interview import Interview
from connector.domain.results.observation import Observation, read_observation

if TYPE_CHECKING:
    from connector.ledger.launches.attribution import Attribution


async def recognised(attribution: Attribution, heard: Sequence[Observation]) -> list[Observation]:
    """Return what was heard, with the invitation wherever its external id is one of ours.

    Only the external id counts: an interview that we started and that comes back without it is anonymous.
    """
    asked: dict[str, list[str]] = {}
    for one in heard:
        if one.interview.external_id is not None and not one.interview.anonymous:
            asked.setdefault(one.rules.connection, []).append(one.interview.external_id)
    if not asked:
        return list(heard)
    known = {name: await attribution.invited(name, external_ids) for name, external_ids in asked.items()}
    return [
        one
        if (invited := known.get(one.rules.connection, {}).get(one.interview.external_id or "")) is None
        else replace(one, interview=_of_invitation(one.interview, invited))
        for one in heard
    ]


async def read_from_koji(
    ctx: Context, rules: SyncRules, interview_id: str, body: Mapping[str, Any]
) -> Observation:
    """Return what Koji answered to a read, with the invitation whose external id came back."""
    read = read_observation(rules, interview_id, body, ctx.clock.now())
    (heard,) = await recognised(ctx.ledger.attribution, [read])
    return heard


def _of_invitation(interview: Interview, invited: Invited) -> Interview:
    return interview._replace(
        invitee=invited.invitee,
        launch_id=invited.launch_id,
        cohort_id=invited.cohort_id,
        cohort_name=invited.cohort_name,
        variant=invited.variant,
        mode=interview.mode or invited.mode,
    )
