"""Groups of labels: what says the same stands together, and what may not is parted."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.results.theme_groups import groups_of
from tests.fixtures import ROOT
from tests.support.fakes import Counted

pytestmark = pytest.mark.unit

TRUTH: dict[str, list[str]] = json.loads((ROOT / "theme_labels.json").read_text(encoding="utf-8"))
"""Made-up labels as respondents' interviews may get them, grouped by hand by what they say."""


def grouped(*labels: str) -> list[set[str]]:
    found = groups_of(dict.fromkeys(labels, 5), {})
    return [{label for label, _ in group} for _, group in found]


def test_95_of_100_pairs_that_are_suggested_say_the_same(counted: Counted) -> None:
    meaning = {label.casefold(): key for key, labels in TRUTH.items() for label in labels}
    assert len(meaning) >= 500
    suggested = [pair for group in grouped(*meaning) for pair in combinations(sorted(group), 2)]
    right = sum(meaning[one] == meaning[other] for one, other in suggested)
    same = sum(meaning[one] == meaning[other] for one, other in combinations(meaning, 2))
    precision, recall = right / len(suggested), right / same
    counted(f"{len(meaning)} labels: precision {precision:.1%}, recall {recall:.1%} of pairs")
    assert precision >= 0.95
    assert recall >= 0.8


@pytest.mark.parametrize(
    "labels",
    [
        ("pricing confusion", "Confusing pricing", "the pricing is confusing", "confused by pricing"),
        ("slow import", "imports are slow", "Importing is slow"),
        ("sign up", "sign-up", "signup"),
        ("missing notifications", "notfications missing"),
        ("can't export", "cannot export", "Can\u2019t export"),
        ("crashed mobile app", "Mobile app crashes", "app crash on mobile"),
    ],
)
def test_other_words_for_the_same_are_one_group(labels: tuple[str, ...]) -> None:
    assert len(grouped(*labels)) == 1


@pytest.mark.parametrize(
    "labels",
    [
        ("pricing too high", "pricing too low"),
        ("mobile app crash", "desktop app crash"),
        ("export to Excel", "import from Excel", "import into Excel"),
        ("sync from CRM to sheet", "sync from sheet to CRM"),
        ("clear pricing", "unclear pricing", "pricing not clear"),
        ("can export", "cannot export"),
        ("contact management", "contract management"),
        ("market reports", "marketing reports"),
        ("product issues", "production issues"),
        ("C SDK", "C++ SDK", "C# SDK"),
        ("料金が高すぎると感じた", "料金が安すぎると感じた"),
        ("कि", "की"),
        ("", "!?"),
    ],
)
def test_a_word_that_differs_parts_labels(labels: tuple[str, ...]) -> None:
    assert len(grouped(*labels)) == len({*labels} - {"", "!?"}) + bool({"", "!?"} & {*labels})


def test_a_group_has_the_key_of_a_name_that_says_the_same_else_one_of_its_own() -> None:
    counts = {"confusing pricing": 9, "slow import": 5, "c# sdk": 6, "c++ sdk": 5, "料金": 5}
    found = groups_of({**counts, "import slow": 7}, {"pricing confusion": "price", "c_sdk": "c_sdk"})
    assert dict(found) == {
        "price": [("confusing pricing", 9)],
        "import_slow": [("import slow", 7), ("slow import", 5)],
        "c_sdk_2": [("c# sdk", 6)],
        "c_sdk_3": [("c++ sdk", 5)],
        "theme": [("料金", 5)],
    }


@given(st.dictionaries(st.text(max_size=30), st.integers(5, 99), max_size=20), st.randoms())
def test_every_label_is_in_one_group_whatever_the_order(counts: dict[str, int], random: object) -> None:
    found = groups_of(counts, {})
    labels = [label for _, group in found for label in group]
    assert sorted(labels) == sorted(counts.items())
    assert len({key for key, _ in found}) == len(found)
    assert groups_of(dict(sorted(counts.items(), reverse=True)), {}) == found
