from __future__ import annotations

import pytest

from tests.fixtures import load, names

pytestmark = pytest.mark.e2e

DOCUMENTED = [*names("koji"), *names("amplitude")]


def test_there_are_fixtures_of_each_kind() -> None:
    assert len(names("koji")) >= 5
    assert len(names("amplitude")) >= 25
    assert len(names("invented")) >= 10


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_documented_body_says_where_it_is_printed(name: str) -> None:
    fixture = load(name)
    assert fixture["source"].startswith("https://")
    assert "body" in fixture
    assert ("status" in fixture) != ("method" in fixture)
    assert "invented" not in fixture


@pytest.mark.parametrize("name", names("invented"))
def test_an_invented_body_says_why(name: str) -> None:
    fixture = load(name)
    assert fixture["invented"] is True
    assert len(fixture["why"]) > 20
    assert ("status" in fixture) != ("method" in fixture)
