"""What of Amplitude's error texts may be shown: its own words and field names, never a key, id or address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

_LONGEST_WORDS: Final = 150
_MOST_NAMES: Final = 5
_WORD: Final = re.compile(r"[(']?[A-Za-z]+(?:[_'-][A-Za-z]+)*[.,;)']*")
_LONGEST_WORD: Final = 24
_FIELD: Final = re.compile(r"\$?[A-Za-z][A-Za-z_.]{0,39}")


def safe_words(text: Any, user_ids: Sequence[str]) -> str:
    """Return an error text up to its first colon, without quoted parts, ids and anything not a plain word.

    Amplitude HTTP V2 appends the key to "Invalid API key:", and may quote a value that it refuses.
    """
    if not isinstance(text, str):
        return ""
    start = re.sub(r"\"[^\"]*\"?|`[^`]*`?", " ", text[:1000]).partition(":")[0]
    for user_id in {user_id for user_id in user_ids if user_id and user_id in start}:
        start = re.sub(rf"(?<!\w){re.escape(user_id)}(?!\w)", " ", start)
    words = [word for word in start.split() if len(word) <= _LONGEST_WORD and _WORD.fullmatch(word)]
    return " ".join(words)[:_LONGEST_WORDS]


def field_names(names: Iterable[str], user_ids: Sequence[str]) -> str:
    """Join names that look like fields, in order and without repeats; at most five."""
    fields = dict.fromkeys(name for name in names if _FIELD.fullmatch(name) and name not in user_ids)
    return ", ".join(list(fields)[:_MOST_NAMES])
