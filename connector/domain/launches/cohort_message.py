"""Amplitude's cohort webhook as it is read: who entered a cohort, or left it, and when that was computed.

Source: Amplitude, Cohort Webhooks, the default payload. A customer's own template may also send a bare list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from connector.domain.people.same_person import Member, member
from connector.errors import FieldError, InvalidInput
from connector.text.json import dumps
from connector.text.values import as_number, read_time, text

_LONGEST_ID = 256
_LONGEST_NAME = 1_024
_MOST_SHOWN = 50
_CHUNK = 2_000
_WORDS = {"true": True, "false": False}


class CohortMessage(NamedTuple):
    """One message, without its people. Times are in ms; `held` says that its people wait for approval."""

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


class Head(NamedTuple):
    """What a message says beside its people; what it leaves out is None."""

    message_id: str | None
    cohort_id: str
    cohort_name: str | None
    in_cohort: bool
    computed_at: int | None


def head_of(told: Any, cohort_id: str | None) -> tuple[Head, Sequence[Any]]:
    """Return what a body says and the rows of its people; `cohort_id` is the address's.

    Raises `InvalidInput` for what is neither the default payload nor a list of users.
    """
    if isinstance(told, list):
        if cohort_id is None:
            raise InvalidInput.of(
                "cohort_id", "is missing: a bare list of users needs it in the address (?cohort_id=)"
            )
        return Head(None, _id(cohort_id), None, in_cohort=True, computed_at=None), _people(told)
    if not isinstance(told, dict):
        raise InvalidInput("The body must be Amplitude's cohort payload, an object, or a list of users.")
    named = told.get("cohort_id")
    message_id = _optional(told, "message_id")
    return Head(
        message_id=None if message_id is None else _short(message_id),
        cohort_id=_id(cohort_id if named is None else named),
        cohort_name=(_optional(told, "cohort_name") or "")[:_LONGEST_NAME] or None,
        in_cohort=_in_cohort(told.get("in_cohort")),
        computed_at=_computed_at(told.get("computed_time")),
    ), _people(told.get("users"))


def members_of(rows: Sequence[Any], email: str, name: str) -> list[Member]:
    """Return the people, of whose properties only e-mail and name are kept.

    A template may leave properties beside the user id. Raises `InvalidInput` that tells the first rows which
    are no users.
    """
    found: list[Member] = []
    errors: list[FieldError] = []
    for at, row in enumerate(rows):
        wrong = _wrong(row)
        if wrong is not None:
            errors.append(FieldError(f"/users/{at}{wrong[0]}", wrong[1]))
            if len(errors) == _MOST_SHOWN:
                break
            continue
        told: Mapping[str, Any] = row.get("user_properties") or row
        found.append(member(row.get("user_id"), told.get(email), told.get(name)))
    if errors:
        first = errors[0]
        place = first.pointer.strip("/").replace("/", ".")
        raise InvalidInput(f"{place}: {first.detail}; nothing was stored.", errors=errors)
    return found


def chunks_of(members: Sequence[Member]) -> list[str]:
    """Return people as they are stored, in chunks that are decided over one by one."""
    return [
        dumps([list(one) for one in members[start : start + _CHUNK]])
        for start in range(0, len(members), _CHUNK)
    ]


def digest_of(cohort_id: str, body: bytes) -> str:
    """Return the message id of a body that names none."""
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


def _people(rows: Any) -> Sequence[Any]:
    if not isinstance(rows, list):
        raise InvalidInput.of("users", "must be a list of objects with user_id")
    return rows


def _id(given: Any) -> str:
    found = text(given)
    if found is None or len(found) > _LONGEST_ID:
        raise InvalidInput.of("cohort_id", "must be the cohort's id, a text of at most 256 characters")
    return found


def _optional(told: Mapping[str, Any], name: str) -> str | None:
    given = told.get(name)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise InvalidInput.of(name, "must be a text")
    return text(given)


def _in_cohort(given: Any) -> bool:
    known = _WORDS.get(given.strip().lower()) if isinstance(given, str) else given
    if not isinstance(known, bool):
        raise InvalidInput.of("in_cohort", "must be true (they entered) or false (they left)")
    return known


def _computed_at(given: Any) -> int | None:
    if given is None:
        return None
    number = as_number(given)
    if number is not None and 0 <= number < 1_000_000_000:  # long ago, as a sender's test may say it
        return round(number * 1000)
    at = read_time(given)
    if at is None:
        raise InvalidInput.of("computed_time", "must be a time in seconds since 1970, such as 1692206763")
    return at


def _short(message_id: str) -> str:
    if len(message_id) <= _LONGEST_ID:
        return message_id
    return hashlib.sha256(message_id.encode("utf-8", "replace")).hexdigest()
