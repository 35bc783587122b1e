"""Split labels into words, and reduce English words to stems. Words of other languages stay as they are.

Precision counts: a stem that joins two meanings (market, marketing) is worse than one that parts one meaning.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_INNER: Final = "#%@&+$"
_APART: Final = "PZC"  # categories of punctuation, separators and control characters
_WITH_NOUN: Final = (
    "accounting banking booking building engineering hosting listing mailing mapping marketing meeting "
    "offering packaging planning recording setting shipping shopping trading training wording"
)
_NO_PLURAL: Final = "analytics customs goods news sales stats windows"
_WHOLE: Final = frozenset(f"{_WITH_NOUN} {_NO_PLURAL}".split())
"""Words that another word would have as its stem, but that mean something else."""
_SHORTEST: Final = 4


def words_of(label: str) -> list[str]:
    """Return the words of a label in lower case; a word may contain a sign, as in c#."""
    text = unicodedata.normalize("NFKC", label).casefold().replace("\u2019", "'")
    text = re.sub(r"(?<=ca)nnot\b|n?n't\b", " not", text).replace("'", "")
    parted = (char if char in _INNER or unicodedata.category(char)[0] not in _APART else " " for char in text)
    return "".join(parted).split()


def stem(word: str) -> str:
    """Return a word without English endings: prices, priced and pricing have one stem."""
    if not (word.isascii() and word.isalpha()) or word in _WHOLE:
        return word
    if len(word) >= _SHORTEST and not word.endswith(("ss", "us", "is")):
        word = re.sub(r"(?<=ch|sh|ss)es$|(?<=[xz])es$|s$", "", re.sub("ies$", "ys", word))
    if word in _WHOLE:
        return word
    if word.endswith(("usion", "ation")) and len(word) >= 2 * _SHORTEST:
        return word[:-3]
    for ending in ("ing", "ed"):
        bare = word.removesuffix(ending)
        if bare != word and len(bare) >= _SHORTEST:
            return bare[:-1] if bare[-1] == bare[-2] and len(bare) > _SHORTEST else bare
    return word.removesuffix("e") if len(word) > _SHORTEST else word
