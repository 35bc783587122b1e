"""Read which person an operation is about."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from connector.domain.people.same_person import Member, member
from connector.errors import InvalidInput
from connector.text.table import GROUPED


def _is_one_number(user_id: str) -> str:
    if GROUPED.fullmatch(user_id.strip()):
        raise ValueError("is a number with separators; write its digits alone")
    return user_id


UserId = Annotated[str, Field(max_length=1_024), AfterValidator(_is_one_number)]
"""A user id of a caller, who can be told that a spreadsheet wrote 4,711,001 for 4711001."""


def person_of(email: str | None, user_id: str | None) -> Member:
    """Return the person of an e-mail, a user id or both. Raises `InvalidInput` when neither names one."""
    person = member(user_id, email, None)
    if email is not None and member(None, email, None).email is None:
        raise InvalidInput.of("email", "is no e-mail address")
    if person.email is None and person.user_id is None:
        why = "user_id is a placeholder, not a person. " if user_id is not None else ""
        raise InvalidInput(f"{why}Give email, user_id, or both.", code="no_identifier")
    return person
