"""Recognise a person by aliases, which are e-mail addresses and user ids.

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
    """One row of a cohort: the user id, e-mail and name of its person, as far as the row has them."""

    user_id: str | None
    email: str | None
    name: str | None


KeyedMember = tuple[Member, tuple[int, ...]]
"""A member with the keys of its aliases."""


def member(user_id: object, email: object, name: object) -> Member:
    """Return a member without surrounding space, and without what is no e-mail or no usable user id.

    Amplitude holds user ids of at most 1,024 characters.
    """
    address, user = text(email), text(user_id)
    return Member(
        user if user is not None and len(user) <= _LONGEST else None,
        address if address is not None and is_email(address) else None,
        text(name),
    )


def is_email(address: str) -> bool:
    """Tell whether a text could be an e-mail address: something, one @, something, no space."""
    return len(address) <= _LONGEST and _EMAIL.fullmatch(address) is not None


def aliases(member: Member) -> tuple[str, ...]:
    """Return the texts by which a person is recognised; a user id with an @ counts as an e-mail too."""
    user_id, email, _ = member
    names = [] if user_id is None else [f"user:{user_id}"]
    addresses = (email, user_id if user_id is not None and "@" in user_id else None)
    names += [f"email:{same_email(address)}" for address in addresses if address is not None]
    return tuple(dict.fromkeys(names))


def same_email(address: str) -> str:
    """Return an address in the form that is compared: one letter case, one Unicode form."""
    if address.isascii():
        return address.strip().lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", address.strip()).casefold())
