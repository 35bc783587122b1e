"""Take in e-mail addresses as people, spreadsheets and mail programs write them, and compare them."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

from connector.domain.people.user_id import is_placeholder
from connector.text.invisible import visible
from connector.text.json import UNSTORABLE
from connector.text.values import text

LONGEST = 320
_NEVER = r"\s\x00-\x1f\x7f-\x9f@<>()\[\],;:\\\"\u201c\u201d\u201e\u00ab\u00bb"
_EMAIL = re.compile(rf"[^{_NEVER}]+@[^{_NEVER}/?#&=%'`]+")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}@[A-Za-z0-9.-]{0,255}[A-Za-z0-9]")
_NAMED = re.compile(r"[^<>]*<([^<>]*)>[\s,;.]*")
_MAILTO = re.compile(r"mailto:([^?]*)(?:\?.*)?", re.IGNORECASE | re.DOTALL)
_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb\u2039\u203a"
_PUNYCODE = re.compile(r"(?<=[@.])xn--[a-z0-9-]+", re.IGNORECASE)
_WRAPPINGS = 8  # more than any program writes around an address
_BEFORE = _QUOTES + "<([ \t\r\n"
_BEHIND = _QUOTES + ">)],;. \t\r\n"


def email_of(value: object) -> str | None:
    """Return the address in a value, or None for a value without text; `is_email` tells whether it is one.

    `mailto:`, angle brackets, quotes, a display name, a trailing comma, semicolon or full stop, and
    characters that leave no mark are taken off. Letter case stays. A text without an address stays as it is.
    """
    if isinstance(value, str) and is_plain(value):
        return value
    written = text(value) or ""
    bare = _unwrapped(written)
    return (bare if "@" in bare else _marked(written)) or None


def is_plain(address: str) -> bool:
    """Tell whether a text is an address of the most common form, which is taken in and compared as it is."""
    return _PLAIN.fullmatch(address) is not None


def is_email(address: str) -> bool:
    """Tell whether a text could be an e-mail address: one @, no merge tag, no character that none has."""
    return len(address) <= LONGEST and _EMAIL.fullmatch(address) is not None and not is_placeholder(address)


def may_name(written: str) -> bool:
    """Tell whether a respondent's unwrapped e-mail may stay: an address, or a word that holds none.

    A word in brackets, such as `[redacted]`, stands for no person.
    """
    holds_more = "@" in written or len(written) > LONGEST or re.search(r"\s|^[(<\[].*[)>\]]$", written)
    return not holds_more or is_email(written)


def same_email(address: str) -> str:
    """Return an address as it is compared: unwrapped, in one letter case and Unicode form."""
    if is_plain(address) and "xn--" not in address.lower():
        return address.lower()
    bare = _PUNYCODE.sub(_in_unicode, _unwrapped(address))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", bare).casefold())


def _in_unicode(label: re.Match[str]) -> str:
    try:
        decoded = label[0][4:].lower().encode().decode("punycode")
    except UnicodeError:
        decoded = ""
    return decoded if decoded.isprintable() and decoded else label[0]


def _marked(written: str) -> str:
    return visible(UNSTORABLE.sub("", written)).strip()


def _unwrapped(written: str) -> str:
    bare = _marked(written)
    for _ in range(_WRAPPINGS):
        before = bare
        if named := _NAMED.fullmatch(bare):
            bare = named[1]
        bare = bare.strip().lstrip(_BEFORE).rstrip(_BEHIND)
        if link := _MAILTO.fullmatch(bare):
            bare = unquote(link[1])
        if bare == before:
            break
    return bare
