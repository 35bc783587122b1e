"""The link that a respondent opens to be interviewed, made from the setting's template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from connector.domain.launches.launch import Invitation, Launch

_PLACE = re.compile(r"\{([a-z_]+)\}")
NAMES = frozenset({"base", "project_id", "external_id", "mode", "locale", "interview_id", "name", "email"})


class StartRules(NamedTuple):
    """What the settings of a connection say of a start.

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
    """Return the names that a template has places for."""
    return frozenset(_PLACE.findall(template))


def fill(template: str, values: Mapping[str, str | None]) -> str:
    """Return a template with its places filled, URL-encoded; parameters without a value are dropped."""
    address, mark, query = template.partition("?")
    query, hash_, fragment = query.partition("#")
    parameters = [part for part in query.split("&") if not _is_empty(part, values)]
    asked = f"{mark}{'&'.join(parameters)}" if parameters and mark else ""
    return _filled(address, values) + _filled(asked, values) + _filled(hash_ + fragment, values)


def _is_empty(parameter: str, values: Mapping[str, str | None]) -> bool:
    places = _PLACE.findall(parameter)
    return bool(places) and not any(values.get(place) for place in places)


def _filled(text: str, values: Mapping[str, str | None]) -> str:
    def value(place: re.Match[str]) -> str:
        found = values.get(place[1]) or ""
        return found if place[1] == "base" else quote(found, safe="")

    return _PLACE.sub(value, text)


def link_of(
    rules: StartRules, launch: Launch, invitation: Invitation, interview_id: str | None
) -> str | None:
    """Return the link from the setting's template; None when it needs a project id and none is set."""
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
    """Tell whether the template can be filled for no respondent."""
    needed = needs(rules.link_template)
    return "project_id" in needed and rules.project_id is None
