"""Tell whether a text names a person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from connector.domain.people.email import same_email
from connector.text.json import loads

_BESIDE = re.compile("[^A-Za-z0-9]+")


class Names:
    """The names of a person: an address counts anywhere in a text, an id only as a whole value."""

    def __init__(self, emails: Iterable[str], ids: Iterable[str]) -> None:
        self._ids = frozenset(ids)
        self._emails = frozenset(emails) | {name for name in self._ids if "@" in name}
        any_of = "|".join(re.escape(same_email(email)) for email in sorted(self._emails))
        # joann@example.com and ann@example.community are other people
        self._address = re.compile(rf"(?<![a-z0-9_.+-])(?:{any_of})(?![.-]?[a-z0-9])") if any_of else None

    def patterns(self, *, whole: bool) -> list[str]:
        """Return LIKE patterns; every text in lower case that names the person matches one of them.

        Characters that JSON may escape become wildcards. With `whole` an id must be a JSON string of its own,
        else it may be a number too.
        """
        mark = '"' if whole else ""
        ids = {f"%{mark}{_loose(name)}{mark}%" for name in self._ids}
        return sorted(ids | {f"%{_loose(unicodedata.normalize('NFC', email))}%" for email in self._emails})

    def are_in(self, body: str) -> bool:
        """Tell whether a text, which may be JSON, names the person."""
        try:
            value = loads(body)
        except (ValueError, RecursionError):
            value = body
        # the whole body too: of a key that an object holds twice, only the last value is decoded
        return self._is_address_in(body) or any(
            text.strip() in self._ids or self._is_address_in(text) for text in _texts(value)
        )

    def _is_address_in(self, text: str) -> bool:
        forms = {text, unquote(text)}
        return self._address is not None and any(self._address.search(same_email(form)) for form in forms)


def _loose(text: str) -> str:
    return _BESIDE.sub("%", text).lower()


def _texts(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            left += item
        elif item is not None:
            yield str(item)
