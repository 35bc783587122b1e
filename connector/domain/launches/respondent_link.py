"""The link that a person opens to be interviewed, made from the setting's template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

_PLACE = re.compile(r"\{([a-z_]+)\}")
NAMES = frozenset({"base", "project_id", "external_id", "mode", "locale", "interview_id", "name", "email"})


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
