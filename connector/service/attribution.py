"""Recognise invited people in interviews that came back with an external id of ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from connector.context import Context
from connector.domain.launches.launch import Invited
from connector.domain.results.decision import SyncRules
from connector.domain.results.observation import Observation, read_observation


async def recognised(ctx: Context, observations: Sequence[Observation]) -> list[Observation]:
    """Return the observations, each with its invitation when its external id is one of ours.

    Only the external id counts: an interview that we started and that comes back without it is anonymous.
    """
    external_ids = defaultdict[str, list[str]](list)
    for observation in observations:
        if observation.interview.external_id is not None and not observation.interview.anonymous:
            external_ids[observation.rules.connection].append(observation.interview.external_id)
    known = {name: await ctx.ledger.attribution.invited(name, ids) for name, ids in external_ids.items()}
    return [_with_invitation(each, known.get(each.rules.connection, {})) for each in observations]


async def read_from_koji(
    ctx: Context, rules: SyncRules, interview_id: str, body: Mapping[str, Any]
) -> Observation:
    """Return the observation of a read of Koji, with the invitation whose external id came back."""
    observation = read_observation(rules, interview_id, body, ctx.clock.now(), ctx.trusted_now())
    (observation,) = await recognised(ctx, [observation])
    return observation


def _with_invitation(observation: Observation, known: Mapping[str, Invited]) -> Observation:
    interview = observation.interview
    invited = known.get(interview.external_id or "")
    if invited is None:
        return observation
    mode = interview.mode or invited.mode
    return replace(observation, interview=interview._replace(**{**invited._asdict(), "mode": mode}))
