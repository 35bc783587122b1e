"""Whether a text names a person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from connector.domain.people.same_person import same_email
from connector.text.json import loads

_BESIDE = re.compile("[^A-Za-z0-9]+")


class Names:
    """What a person is called: addresses are found anywhere in a text, ids are short and stand alone."""

    def __init__(self, emails: Iterable[str], ids: Iterable[str]) -> None:
        self._ids = frozenset(ids)
        self._emails = frozenset(emails) | {one for one in self._ids if "@" in one}
        found = "|".join(re.escape(same_email(one)) for one in sorted(self._emails))
        # joann@example.com and ann@example.community are other people
        self._address = re.compile(rf"(?<![a-z0-9_.+-])(?:{found})(?![.-]?[a-z0-9])") if found else None

    def patterns(self, *, whole: bool) -> list[str]:
        """Return patterns for LIKE, one of which every text in lower case matches that names them.

        What JSON may escape is left open. With `whole` an id must be a JSON string of its own, else it may be
        a number too.
        """
        mark = '"' if whole else ""
        ids = {f"%{mark}{_loose(one)}{mark}%" for one in self._ids}
        return sorted(ids | {f"%{_loose(unicodedata.normalize('NFC', one))}%" for one in self._emails})

    def are_in(self, body: str) -> bool:
        """Tell whether a JSON text, or one that is none, names them."""
        try:
            told = loads(body)
        except (ValueError, RecursionError):
            told = body
        # of a name that an object holds twice, only the last is decoded
        return self._is_address_in(body) or any(self._are_told(one) for one in _texts(told))

    def _are_told(self, text: str) -> bool:
        return text.strip() in self._ids or self._is_address_in(text)

    def _is_address_in(self, text: str) -> bool:
        forms = {text, unquote(text)}
        return self._address is not None and any(self._address.search(same_email(one)) for one in forms)


def _loose(text: str) -> str:
    return _BESIDE.sub("%", text).lower()


def _texts(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            left += one
        elif one is not None:
            yield str(one)
