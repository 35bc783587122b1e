"""Read Amplitude's cohort webhook: who entered a cohort or left it, and when that was computed.

Source: Amplitude, Cohort Webhooks, the default payload. A customer's own template may also send a bare list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from connector.domain.people.name import name_in
from connector.domain.people.properties import property_of
from connector.domain.people.same_person import Member, member
from connector.domain.people.user_id import has_merge_tag, is_placeholder
from connector.errors import FieldError, InvalidInput
from connector.text.json import dumps, loads
from connector.text.values import as_number, read_time, text

_LONGEST_ID = 256
_LONGEST_NAME = 1_024
_MOST_SHOWN = 50
_CHUNK = 2_000
_BOOLEANS = {"true": True, "false": False}


class CohortMessage(NamedTuple):
    """One message without its members. Times are in ms; `held` says that its members wait for approval."""

    id: int
    connection: str
    message_id: str
    cohort_id: str
    cohort_name: str | None
    in_cohort: bool
    computed_at: int
    received_at: int
    stage: str = "new"
    held: bool = False
    carried: str | None = None


class Head(NamedTuple):
    """The fields of a message beside its members; a field that it leaves out is None."""

    message_id: str | None
    cohort_id: str
    cohort_name: str | None
    in_cohort: bool
    computed_at: int | None


def read_head(body: Any, cohort_id: str | None) -> tuple[Head, Sequence[Any]]:
    """Return the fields of a body and the rows of its members; `cohort_id` is that of the webhook's address.

    Raises `InvalidInput` for a body that is neither the default payload nor a list of users.
    """
    if isinstance(body, list):
        if cohort_id is None:
            raise InvalidInput.of(
                "cohort_id", "is missing: a bare list of users needs it in the address (?cohort_id=)"
            )
        return Head(None, cohort_id_of(cohort_id), None, in_cohort=True, computed_at=None), body
    if not isinstance(body, dict):
        raise InvalidInput("The body must be Amplitude's cohort payload, an object, or a list of users.")
    named = body.get("cohort_id")
    message_id = _optional(body, "message_id")
    if message_id is not None and is_placeholder(message_id):
        raise InvalidInput.of("message_id", "is a placeholder; leave it out, or send a new one each time")
    if message_id is not None and len(message_id) > _LONGEST_ID:
        message_id = hashlib.sha256(message_id.encode("utf-8", "replace")).hexdigest()
    head = Head(
        message_id=message_id,
        cohort_id=cohort_id_of(cohort_id if named is None else named),
        cohort_name=(_optional(body, "cohort_name") or "")[:_LONGEST_NAME] or None,
        in_cohort=_in_cohort(body.get("in_cohort")),
        computed_at=_computed_at(body.get("computed_time")),
    )
    rows = body.get("users")
    if not isinstance(rows, list):
        raise InvalidInput.of("users", "must be a list of objects with user_id")
    return head, rows


def read_rows(rows: Sequence[Any], email: str, name: str) -> list[Member]:
    """Return the members with their e-mails and names; other properties are dropped.

    A template may put properties beside the user id. Raises `InvalidInput` with the first rows that are not
    users.
    """
    members: list[Member] = []
    errors: list[FieldError] = []
    for at, row in enumerate(rows):
        wrong = _wrong(row)
        if wrong is not None:
            errors.append(FieldError(f"/users/{at}{wrong[0]}", wrong[1]))
            if len(errors) == _MOST_SHOWN:
                break
            continue
        fields: Mapping[str, Any] = row.get("user_properties") or row
        members.append(member(row.get("user_id"), property_of(fields, email), name_in(fields, name)))
    if errors:
        first = errors[0]
        place = first.pointer.strip("/").replace("/", ".")
        raise InvalidInput(f"{place}: {first.detail}; nothing was stored.", errors=errors)
    return members


def chunks_of(members: Sequence[Member]) -> list[str]:
    """Return members as JSON texts, in chunks that are decided over one after the other."""
    return [dumps([*map(list, members[at : at + _CHUNK])]) for at in range(0, len(members), _CHUNK)]


def members_of(chunk: str) -> list[Member]:
    """Return the members in a text of `chunks_of`."""
    return [Member(*each) for each in loads(chunk)]


def digest_of(cohort_id: str, body: bytes) -> str:
    """Return a message id for a body without one."""
    return hashlib.sha256(cohort_id.encode("utf-8", "replace") + b"\0" + body).hexdigest()[:32]


def _wrong(row: Any) -> tuple[str, str] | None:
    if not isinstance(row, dict):
        return "", "must be an object with user_id"
    user_id = row.get("user_id")
    if user_id is not None and (isinstance(user_id, bool) or not isinstance(user_id, str | int | float)):
        return "/user_id", "must be a text"
    properties = row.get("user_properties")
    if properties is not None and not isinstance(properties, dict):
        return "/user_properties", "must be an object"
    return None


def cohort_id_of(value: Any) -> str:
    """Return the cohort's id in a value. Raises `InvalidInput` for a URL, a path or a merge tag."""
    cohort_id = text(value)
    if (
        cohort_id is None
        or len(cohort_id) > _LONGEST_ID
        or not {*"/?#"}.isdisjoint(cohort_id)
        or has_merge_tag(cohort_id)
    ):
        detail = (
            "must be the cohort's id alone, at most 256 characters, such as lfbhq6fv; list_cohorts shows it"
        )
        raise InvalidInput.of("cohort_id", detail)
    return cohort_id


def _optional(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
        raise InvalidInput.of(name, "must be a text")
    return text(value)


def _in_cohort(value: Any) -> bool:
    entered = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(entered, bool):
        raise InvalidInput.of("in_cohort", "must be true (they entered) or false (they left)")
    return entered


def _computed_at(value: Any) -> int | None:
    if value is None:
        return None
    number = as_number(value)
    if number is not None and 0 <= number < 1_000_000_000:  # before 2001: a sender's test may say so
        return round(number * 1000)
    at = read_time(value)
    if at is None:
        raise InvalidInput.of("computed_time", "must be a time in seconds since 1970, such as 1692206763")
    return at
