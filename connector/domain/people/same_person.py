"""Recognise a person by aliases, which are e-mail addresses and user ids.

Two rows, or a row and an earlier invitation, are one person as soon as they share an alias.
"""

from __future__ import annotations

from typing import NamedTuple

from connector.domain.people.email import email_of, is_email, same_email
from connector.domain.people.user_id import is_placeholder, user_id_of
from connector.text.values import text

ERASED_PERSON = 0
"""The person behind every alias of every respondent who was erased."""


class Member(NamedTuple):
    """One row of a cohort: the user id, e-mail and name of its person, as far as the row has them.

    `has_bad_email` says that the row has a text where the e-mail should be that is no address.
    """

    user_id: str | None
    email: str | None
    name: str | None
    has_bad_email: bool = False


KeyedMember = tuple[Member, tuple[int, ...]]
"""A member with the keys of its aliases."""


def member(user_id: object, email: object, name: object) -> Member:
    """Return a member with what is a user id and an e-mail address; see `user_id_of` and `email_of`."""
    address = email_of(email)
    if address is None:
        return Member(user_id_of(user_id), None, text(name))
    if is_email(address):
        return Member(user_id_of(user_id), address, text(name))
    return Member(user_id_of(user_id), None, text(name), has_bad_email=not is_placeholder(address))


def has_email(member: Member) -> bool:
    """Tell whether a member has an e-mail address; a user id with an @ counts as one."""
    return member.email is not None or "@" in (member.user_id or "")


def aliases(member: Member) -> tuple[str, ...]:
    """Return the texts by which a person is recognised; a user id with an @ counts as an e-mail too.

    A placeholder recognises no person, not even one who was stored with it.
    """
    user_id, email, *_ = member
    if user_id is not None and is_placeholder(user_id):
        user_id = None
    names = [] if user_id is None else [f"user:{user_id}"]
    addresses = (email, user_id if user_id is not None and "@" in user_id else None)
    names += [f"email:{same_email(address)}" for address in addresses if address is not None]
    return tuple(dict.fromkeys(names))
