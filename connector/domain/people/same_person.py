"""Who is the same person: a person is known by aliases, which are e-mail addresses and user ids.

Two rows, or a row and an earlier invitation, are one person as soon as they share an alias.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from connector.text.values import text

ERASED_PERSON = 0
"""The person behind every alias of every respondent who was erased."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_LONGEST = 1_024


class Member(NamedTuple):
    """One row of a cohort: who it is, as far as the row says."""

    user_id: str | None
    email: str | None
    name: str | None


KeyedMember = tuple[Member, tuple[int, ...]]
"""A member with the keys of its aliases."""


def member(user_id: object, email: object, name: object) -> Member:
    """Return a row as it is used: without surrounding space, and without an e-mail that is none."""
    address = text(email)
    if address is not None and not is_email(address):
        address = None
    return Member(_short(text(user_id)), address, text(name))


def is_email(address: str) -> bool:
    """Tell whether a text could be an e-mail address: something, one @, something, no space."""
    return len(address) <= _LONGEST and _EMAIL.fullmatch(address) is not None


def _short(user_id: str | None) -> str | None:
    """Return a user id that Amplitude can hold (at most 1,024 characters)."""
    return user_id if user_id is not None and len(user_id) <= _LONGEST else None


def aliases(one: Member) -> tuple[str, ...]:
    """Return the texts by which a person is recognised; a user id with an @ counts as an e-mail too."""
    found = [] if one.user_id is None else [f"user:{one.user_id}"]
    addresses = (one.email, one.user_id if one.user_id is not None and "@" in one.user_id else None)
    found += [f"email:{same_email(address)}" for address in addresses if address is not None]
    return tuple(dict.fromkeys(found))


def same_email(address: str) -> str:
    """Return an address as it is compared: whatever its letter case and Unicode form."""
    if address.isascii():
        return address.strip().lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", address.strip()).casefold())
