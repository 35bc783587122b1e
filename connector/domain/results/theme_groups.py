"""Group labels of themes that say the same in other words; a person decides over the groups.

Two labels are in one group when they consist of the same words: whatever the order, filling words, the ending
of a word and a typing error in a long one. Every other word parts them, because it may turn the meaning round
(high, low; desktop, mobile).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import Final

from connector.text.stems import stem, words_of

_FILLING_TEXT: Final = (
    "& a about an and are at be been by ca can could did do does for has have i in is it its my of on our "
    "really so some that the their there they this too very was we were with would you your"
)
_ORDERING_TEXT: Final = (
    "after against before but from instead into never no not or over than to under versus vs without"
)
_FILLING: Final = frozenset(_FILLING_TEXT.split())
_ORDERING: Final = frozenset(_ORDERING_TEXT.split())
"""Between these words the order counts: from Excel to PDF is not from PDF to Excel."""
_LONG: Final = 8
"""Letters of a stem in which one may be wrong: contact and contract are two words."""
_LONGEST_KEY: Final = 60

Group = tuple[str, list[tuple[str, int]]]
"""A key, and the labels that say the same, the commonest first, with how often each was seen."""


def groups_of(counts: Mapping[str, int], names: Mapping[str, str]) -> list[Group]:
    """Group labels by how often each was seen.

    `names` are those of a vocabulary with their keys: a group that a name would belong to has its key.
    """
    ordered = sorted(counts, key=lambda label: (-counts[label], label))
    signatures = _signatures([*ordered, *names])
    known = {signatures[name]: key for name, key in names.items()}
    grouped: defaultdict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for label in ordered:
        grouped[signatures[label]].append((label, counts[label]))
    groups: list[Group] = []
    taken = set(names.values())
    for signature, labels in grouped.items():
        key = known.get(signature) or _new_key(labels[0][0], taken)
        taken.add(key)
        groups.append((key, labels))
    return groups


def _signatures(labels: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return what each label has in common with those that say the same."""
    words = {label: words_of(label) for label in labels}
    seen = {word for each in words.values() for word in each}
    stems = {label: _stems(_joined(each, seen)) for label, each in words.items()}
    usual = _usual(Counter(each for one in stems.values() for each in one))
    found = {label: [usual[each] for each in one] for label, one in stems.items()}
    return {label: tuple(one if _ORDERING.intersection(one) else sorted(one)) for label, one in found.items()}


def _joined(words: list[str], seen: Collection[str]) -> list[str]:
    """Join two words that stand together elsewhere: sign up, signup."""
    joined: list[str] = []
    for before, word in pairwise(["", *words]):
        if joined and joined[-1] == before and before + word in seen:
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _stems(words: list[str]) -> list[str]:
    return [stem(word) for word in words if word not in _FILLING] or words


def _usual(counts: Counter[str]) -> dict[str, str]:
    """Return for each stem the commoner one of which it is a misspelling, else itself."""
    from rapidfuzz.distance import OSA  # noqa: PLC0415 - long to load, and for this alone
    from rapidfuzz.process import extractOne  # noqa: PLC0415

    usual: dict[str, str] = {}
    right: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for word in sorted(counts, key=lambda word: (-counts[word], word)):
        usual[word] = word
        if len(word) >= _LONG and word.isascii() and word.isalpha():
            alike = right[word[0], word[-1]]
            if found := extractOne(word, alike, scorer=OSA.distance, score_cutoff=1):
                usual[word] = found[0]
            else:
                alike.append(word)
    return usual


def _new_key(label: str, taken: Collection[str]) -> str:
    ascii_only = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9]+", "_", ascii_only)[:_LONGEST_KEY].strip("_") or "theme"
    numbered = (f"{key}_{n}" for n in range(2, len(taken) + 3))
    return key if key not in taken else next(each for each in numbered if each not in taken)
