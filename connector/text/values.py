"""Read plain values from JSON that strangers wrote. No function raises: None stands for a wrong value."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from connector.text.json import MAX_NESTING, UNSTORABLE, loads

_HALF = re.compile("[\ud800-\udfff]")
_FALSE_WORDS = frozenset({"", "0", "false", "f", "no", "n", "off", "null", "none"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_LONGEST_NUMBER = 40
_LARGEST = 10**15  # from here on, floats are not exact
_LARGEST_ID = 10**40
_LABEL_KEYS = ("name", "label", "title", "theme", "text")
# an item of a list that Python or PostgreSQL wrote
_ITEM = re.compile(
    r"""\s*+(?:'((?:[^'\\]|\\.)*+)'|"((?:[^"\\]|\\.)*+)"|([^,"\[\]{}]*+))\s*+(,|\Z)""", re.DOTALL
)
_BULLET = re.compile(r"\s*+(?:[-*\u2022\u2013]|[0-9]{1,2}[.)])\s")
_SEPARATOR = re.compile(r"[;|\uff1b\u3001\u060c]|<br ?/?>", re.IGNORECASE)
_LONGEST_TIME = 100
# ISO 8601; the hours and minutes of some countries stand as 14.45
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d|\d{8})(?:(?:T|\s+)(\d\d)(?:([:.]?)(\d\d)(?:\3(\d\d)(?:[.,](\d+))?)?)?"
    r"\s*(?:(UTC|GMT|Z)|([+-]\d\d(?::?\d\d)?))?)?",
    re.IGNORECASE,
)
# RFC 5322, and JavaScript's Date.toString: nothing may be left that parsedate_to_datetime would drop
_DATED = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?(\d{1,2}\s+[a-z]{3}|[a-z]{3}\s+\d{1,2}),?"
    r"(\s+\d{4}),?(\s+\d{1,2}:\d{2}(?::\d{2})?)"
    r"(?:\s*(?:GMT|UTC)?([+-]\d{2}):?([0-5]\d)|(\s+(?:UTC?|GMT|Z|[ECMP][SD]T)))?(?:\s+\([^()]*\))?",
    re.IGNORECASE | re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_EARLIEST_SECONDS = 1_000_000_000  # 2001: below it a number such as 20260131 is a date, or none
_MILLISECONDS_FROM = 100_000_000_000  # a number from here on counts milliseconds, below it seconds
_END_OF_TIME = 4_102_444_800_000  # 2100


def text(value: Any) -> str | None:
    """Return text, or a number as text, without space around it and characters that no database stores."""
    if isinstance(value, str):
        whole = value if value.isprintable() else UNSTORABLE.sub("", value)
        return whole.strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return str(value) if -_LARGEST_ID < value < _LARGEST_ID else None
    number = as_number(value)
    return None if number is None else str(int(number) if number.is_integer() else number)


def showable(value: Any, levels: int = MAX_NESTING) -> Any:
    """Return a JSON value that every answer can carry.

    U+FFFD replaces half characters, which JSON can escape but UTF-8 cannot write. Values that are nested
    deeper than `levels` are left out.
    """
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [showable(item, levels - 1) for item in value] if levels else None
    if isinstance(value, dict):
        shown = ((showable(name), showable(item, levels - 1)) for name, item in value.items())
        return dict(shown) if levels else None
    return value


def word(value: Any) -> str | None:
    """Return text as `text` does, but not for numbers."""
    return text(value) if isinstance(value, str) else None


def label(value: Any) -> str | None:
    """Return text, or the name in an object."""
    if isinstance(value, dict):
        return next((name for key in _LABEL_KEYS if (name := text(value.get(key)))), None)
    return text(value)


def labels(value: Any) -> tuple[str, ...] | None:
    """Return labels in their order, each once whatever its case and spaces; text is split by `split_list`.

    None stands for a form of which a part cannot be read. An object with the keys 0, 1 … is a list.
    """
    if isinstance(value, dict) and value and all(key.isdecimal() for key in value):
        value = [value[key] for key in sorted(value, key=int)]
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = _json_list(value[0]) or value
    if isinstance(value, str):
        value = split_list(value)
    if not isinstance(value, list | tuple):
        return None
    items = [text(item) if isinstance(item, str) else item for item in value]
    names = [label(item) for item in items if item not in (None, {}, [])]
    if None in names:
        return None
    unique: dict[str, str] = {}
    for name in filter(None, names):
        unique.setdefault(" ".join(name.split()).casefold(), name)
    return tuple(unique.values())


def split_list(written: str) -> list[Any]:
    """Split a text: a list of JSON, Python or PostgreSQL into its items, else at line breaks, else at commas.

    Without either it is split at other separators. Bullets and numbers before all lines are dropped.
    """
    written = written.strip()
    if written.startswith(("[", '"')) and (listed := _json_list(written)) is not None:
        return listed
    if written[:1] + written[-1:] in ("[]", "{}") and (items := _items(written[1:-1])) is not None:
        return items
    parts = [line for line in written.splitlines() if line.strip()]
    if len(parts) > 1 and all(map(_BULLET.match, parts)):
        parts = [_BULLET.sub("", part, count=1) for part in parts]
    elif len(parts) == 1:
        parts = written.split(",") if "," in written else _SEPARATOR.split(written)
    return [part.strip() for part in parts if part.strip()]


def _items(inner: str) -> list[str] | None:
    items, at, more = [], 0, True
    while more:
        if (found := _ITEM.match(inner, at)) is None:
            return None
        quoted = found[1] or found[2] or ""
        items.append(re.sub(r"\\(.)", r"\1", quoted) or (found[3] or "").strip())
        at, more = found.end(), bool(found[4])
    return list(filter(None, items))


def json_of(written: str) -> Any:
    """Return the value of JSON text, or None."""
    try:
        return loads(written)
    except (ValueError, RecursionError):
        return None


def _json_list(written: str) -> list[Any] | None:
    value = json_of(written)
    if isinstance(value, str):  # written as JSON twice
        return _json_list(value)
    return value if isinstance(value, list) else None


def truthy(value: Any) -> bool:
    """Tell whether a flag is set; a text counts as set unless it says no."""
    return value.strip().lower() not in _FALSE_WORDS if isinstance(value, str) else bool(value)


def as_number(value: Any) -> float | None:
    """Return a finite number below 10^15, also one written as text; whole numbers stay `int`."""
    if isinstance(value, str):
        value = _parsed(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_LARGEST < value < _LARGEST and math.isfinite(value) else None


def _parsed(written: str) -> float | None:
    if _WHOLE.fullmatch(written):
        return int(written)
    try:
        return float(written) if len(written) <= _LONGEST_NUMBER else None
    except ValueError:
        return None


def as_score(value: Any) -> float | None:
    """Return a quality score, not rounded, or None outside of Koji's scale, which is 0 to 5."""
    number = as_number(value)
    return number if number is not None and 0 <= number <= 5 else None


def as_count(value: Any) -> int | None:
    """Return a whole number that is not negative."""
    number = as_number(value)
    return None if number is None or number < 0 else int(number)


def read_time(value: Any) -> int | None:
    """Return milliseconds from ISO 8601, RFC 5322 or JavaScript's form (without an offset: UTC), or an epoch.

    Times are from 1970 to 2100; a number below 10^9 (2001) is not a time, nor is a text with an exponent, of
    which a spreadsheet took the last digits, nor one with AM or PM or a zone that is not sure.
    """
    number = None if isinstance(value, str) and "e" in value.lower() else as_number(value)
    if number is not None and number >= _EARLIEST_SECONDS:
        return in_range(round(number if number >= _MILLISECONDS_FROM else number * 1000))
    if not isinstance(value, str) or len(written := value.strip()) > _LONGEST_TIME:
        return None
    try:
        at = _iso(found) if (found := _ISO.fullmatch(written)) else _dated(written)
        return in_range(((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND)
    except (ValueError, OverflowError):
        return None


def _iso(found: re.Match[str]) -> datetime:
    day, hour, _, minute, second, fraction, utc, offset = found.groups("")
    clock = f"{hour or '00'}:{minute or '00'}:{second or '00'}.{fraction or 0}"
    return datetime.fromisoformat(f"{day}T{clock}{'Z' if utc else offset}")


def _dated(written: str) -> datetime:
    if (parts := _DATED.fullmatch(written)) is None:
        raise ValueError
    day, year, clock, hours, minutes, zone = parts.groups("")
    return parsedate_to_datetime(f"{day}{year}{clock} {hours}{minutes}{zone}")


def counted(count: int, one: str, many: str) -> str:
    """Return a count with its noun: 1 person, 2,000 people."""
    return f"{count:,} {one if count == 1 else many}"


def people_of(count: int) -> str:
    """Return how many people."""
    return counted(count, "person", "people")


def in_range(millis: int) -> int | None:
    """Return milliseconds that are a time from 1970 to 2100."""
    return millis if 0 < millis < _END_OF_TIME else None
