"""Recognise a person by aliases, which are e-mail addresses and user ids.

Two rows, or a row and an earlier invitation, are one person as soon as they share an alias.
"""

from __future__ import annotations

from typing import NamedTuple

from connector.domain.people.email import email_of, is_email, is_plain, same_email
from connector.domain.people.name import name_of
from connector.domain.people.user_id import is_placeholder, user_id_of

ERASED_PERSON = 0
"""The person behind every alias of every respondent who was erased."""

OPTED_OUT = 1
"""The person behind every alias, in the register over all connections, of every person who opted out."""


class Member(NamedTuple):
    """One row of a cohort: the user id, e-mail and name of its person, as far as the row has them.

    `has_bad_email` says that the row has a text where the e-mail should be that is no address. `cell` is the
    value of the quota's property, `segment` that of the property by which a launch is shown.
    """

    user_id: str | None
    email: str | None
    name: str | None
    has_bad_email: bool = False
    cell: str | None = None
    segment: str | None = None


KeyedMember = tuple[Member, tuple[int, ...]]
"""A member with the keys of its aliases."""


def member(user_id: object, email: object, name: object) -> Member:
    """Return a member with what is a user id, an e-mail address and a name; see `user_id_of`, `email_of`.

    A user id that is an address is the e-mail where none is given.
    """
    if isinstance(email, str) and is_plain(email):
        return Member(user_id_of(user_id), email, name_of(name))
    user, address = user_id_of(user_id), email_of(email)
    bad = address is not None and not is_email(address) and not is_placeholder(address)
    if address is None or not is_email(address):
        as_email = email_of(user) if user is not None and "@" in user else None
        address = as_email if as_email is not None and is_email(as_email) else None
    return Member(user, address, name_of(name), has_bad_email=bad)


def has_email(member: Member) -> bool:
    """Tell whether a member has an e-mail address; a user id with an @ counts as one."""
    return member.email is not None or "@" in (member.user_id or "")


def aliases(member: Member) -> tuple[str, ...]:
    """Return the texts by which a person is recognised; a user id with an @ counts as an e-mail too.

    The user id comes first, then the e-mail.
    """
    user_id, email = member.user_id, member.email
    if user_id is None:
        return () if email is None else (f"email:{same_email(email)}",)
    names = [f"user:{user_id}"]
    if email is not None:
        names.append(f"email:{same_email(email)}")
    if "@" in user_id and (as_email := f"email:{same_email(user_id)}") not in names:
        names.append(as_email)
    return tuple(names)


def first_key(keys: tuple[int, ...]) -> int:
    """Return the key that stands for a person who is not stored: the e-mail's where there is one.

    Rows of a cohort share an e-mail more often than a user id.
    """
    return keys[:2][-1]


def aliases_of(user_id: object, email: object) -> tuple[str, ...]:
    """Return the aliases of identifiers as they were written or stored; a placeholder has none."""
    return aliases(Member(user_id_of(user_id), email_of(email), None))
