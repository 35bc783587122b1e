"""Drop the characters that leave no mark, such as zero width, marks of direction and soft hyphens."""

from __future__ import annotations

import re

# Unicode 16, DerivedCoreProperties.txt: Default_Ignorable_Code_Point
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_ANYWHERE = re.compile(f"[{_IGNORABLE}]+")
_BEFORE = re.compile(rf"[\s{_IGNORABLE}]+")


def visible(text: str) -> str:
    """Return a text without characters that leave no mark."""
    return text if text.isascii() else _ANYWHERE.sub("", text)


def trimmed(text: str) -> str:
    """Return a text without space and characters that leave no mark at its edges."""
    if text.isascii():
        return text.strip()
    # both edges are matched from their outer ends: a search for the end would begin at every space
    for _ in range(2):
        edge = _BEFORE.match(text)
        text = (text[edge.end() :] if edge else text)[::-1]
    return text
