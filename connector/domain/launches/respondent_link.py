"""The link that a respondent opens to be interviewed, made from the setting's template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from connector.domain.launches.launch import Invitation, InvitationState, Launch

_PLACE = re.compile(r"\{([a-z_]+)\}")
NAMES = frozenset({"base", "project_id", "external_id", "mode", "locale", "interview_id", "name", "email"})


class StartRules(NamedTuple):
    """The settings of a connection that concern a start.

    A silent interview is ended after `complete_after_hours` (None: never). `people_a_day` is how many people
    a standing launch may start in a UTC day.
    """

    base_url: str
    project_id: str | None
    link_template: str
    sends_email: bool
    complete_after_hours: int | None
    people_a_day: int


def needs(template: str) -> frozenset[str]:
    """Return the names of a template's placeholders."""
    return frozenset(_PLACE.findall(template))


def fill(template: str, values: Mapping[str, str | None]) -> str:
    """Return a template with its placeholders filled, URL-encoded; parameters without a value are dropped."""
    address, mark, query = template.partition("?")
    query, hash_, fragment = query.partition("#")
    parts = [(part, needs(part)) for part in query.split("&")]
    parameters = [part for part, places in parts if not places or any(map(values.get, places))]
    query = f"{mark}{'&'.join(parameters)}" if parameters and mark else ""
    return "".join(_filled(part, values) for part in (address, query, hash_ + fragment))


def _filled(text: str, values: Mapping[str, str | None]) -> str:
    def value(place: re.Match[str]) -> str:
        filling = values.get(place[1]) or ""
        return filling if place[1] == "base" else quote(filling, safe="")

    return _PLACE.sub(value, text)


def link_of(
    rules: StartRules, launch: Launch, invitation: Invitation, interview_id: str | None
) -> str | None:
    """Return the link from the setting's template, or None if it needs a project id and none is set."""
    if has_no_link(rules):
        return None
    values = {
        "base": rules.base_url,
        "project_id": rules.project_id,
        "external_id": invitation.id,
        "mode": launch.options.mode,
        "locale": launch.options.locale,
        "interview_id": interview_id,
        "name": invitation.name,
        "email": invitation.email if rules.sends_email else None,
    }
    return fill(rules.link_template, values)


def has_no_link(rules: StartRules) -> bool:
    """Tell whether the template cannot be filled, because it needs a project id and none is set."""
    return "project_id" in needs(rules.link_template) and rules.project_id is None


def lacks_link(rules: StartRules, launch: Launch) -> bool:
    """Tell whether people of a launch would be started without the link that they need."""
    return has_no_link(rules) and not launch.options.allow_without_link


def present_link(rules: StartRules, launch: Launch, invitation: Invitation) -> str | None:
    """Return a person's link; one that could not be made at the start is made once the settings allow it.

    An interview that was unbound from its invitation gets no new link, and neither does an erased person.
    """
    is_bound = invitation.interview_id is not None and (invitation.user_id or invitation.email)
    if invitation.link is not None or invitation.state is not InvitationState.STARTED or not is_bound:
        return invitation.link
    return link_of(rules, launch, invitation, invitation.interview_id)
