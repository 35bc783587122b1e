"""Find what an interviewer calls a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connector.domain.people.properties import property_of
from connector.domain.people.user_id import is_placeholder
from connector.text.table import plain, spelling
from connector.text.values import text

PARTS = ("first_name", "last_name", "First Name", "Last Name", "firstName", "lastName")
"""Under which properties a cohort's download may hold the parts of names."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WAYS = (("fullname",), ("displayname",), ("firstname", "lastname"), ("givenname", "familyname"))
IDENTIFYING = frozenset({"email", "name", "userid", *(part for way in _WAYS for part in way)})
"""The spellings of properties whose values stand for one person each."""


def name_of(value: object) -> str | None:
    """Return the name in a value, on one line; None for what programs write where a name is missing."""
    name = plain(text(value) or "")
    return None if not name or is_placeholder(name) else " ".join(_CONTROL.sub(" ", name).split())


def name_in(properties: Mapping[str, Any], wanted: str) -> str | None:
    """Return the name in the property that should hold it, else in others that are usual, or in parts."""
    if name := name_of(property_of(properties, wanted)):
        return name
    spelt = {spelling(key): value for key, value in properties.items() if value not in (None, "")}
    ways = (" ".join(filter(None, (name_of(spelt.get(part)) for part in way))) for way in _WAYS)
    return next(filter(None, ways), None)
