"""Read single values of Koji's as they are meant: what stands for none counts as absent."""

from __future__ import annotations

import re
from typing import Any, Final

from connector.domain.people.email import is_plain
from connector.domain.people.user_id import is_not_given, is_placeholder
from connector.text import values
from connector.text.redaction import cut
from connector.text.values import read_time

YEAR_2000: Final = 946_684_800_000  # ms
_LONGEST_SENTIMENT: Final = 50
_ID = re.compile(r"[!-~]{1,200}")
_UUID = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?", re.IGNORECASE)


def completion_of(value: Any) -> int | None:
    """Return a time (ms); one of before 2000 is what a program writes for none."""
    at = read_time(value)
    return at if at is not None and at >= YEAR_2000 else None


def themes_of(value: Any) -> tuple[str, ...] | None:
    """Return labels of themes, without those that stand for none; None without any."""
    names = values.labels(value)
    return names and (tuple(name for name in names if not is_not_given(name)) or None)


def sentiment_of(value: Any) -> str | None:
    """Return a word in lower case, cut at 50 characters; None for a number or what stands for none."""
    name = values.label(value)
    if name is None or is_not_given(name) or values.as_number(name) is not None:
        return None
    return cut(" ".join(name.lower().split()), _LONGEST_SENTIMENT)


def given_text(value: Any) -> str | None:
    """Return a text; None also for what programs write for none."""
    found = values.text(value)
    return None if found is None or is_not_given(found) else found


def identifier(value: Any) -> str | None:
    """Return the value as an interview's id, or None if it cannot be one; a placeholder or an address cannot.

    A UUID is the same in either letter case and in braces.
    """
    written = values.text(value) or ""
    if uuid := _UUID.fullmatch(written):
        written = uuid[1].lower()
    is_foreign = is_plain(written) or is_placeholder(written)
    return written if _ID.fullmatch(written) and not is_foreign else None
