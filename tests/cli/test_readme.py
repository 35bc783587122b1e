"""Tables, links and promises of the documentation are in step with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connector.operations import OPERATIONS
from connector.settings.model import COHORTS, HOLDOUT, LAUNCH_DEFAULTS, Connection, Settings

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")


def test_table_of_operations_names_each_operation_with_its_effect() -> None:
    table = REFERENCE.split("<!-- operations -->")[1].split("<!-- /operations -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE)
    assert rows == [(op.name, op.effect.name) for op in OPERATIONS]


def test_no_line_names_a_path_of_one_machine() -> None:
    assert not re.search(r"/(home|root|tmp|opt)/", README)


def test_settings_page_names_each_setting_and_no_other() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    listed = {
        name
        for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
        for name in re.findall(r"`([A-Z_]+)`", row)
    }
    known = (
        {*Connection.model_fields, *Settings.model_fields}
        - {"name", "connections", "mapping"}
        - LAUNCH_DEFAULTS
        - {COHORTS, HOLDOUT}
    )
    assert listed == {name.upper() for name in known}


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/privacy.md"])
def test_each_promise_names_a_test_that_is_there(page: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / page).read_text(encoding="utf-8"))
    assert len(named) >= 10
    for path, test in named:
        assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8"), (path, test)


PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_into_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_pictures_of_the_readme_ask_no_other_server() -> None:
    for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README):
        picture = (ROOT / name).read_text(encoding="utf-8", errors="replace")  # a PNG is no text
        assert not re.search(r"url\((?!#)|href|@import|<script|<image", picture)


def test_operations_of_the_readme_exist() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert len(rows) == 6
    assert set(rows) <= {op.name for op in OPERATIONS}
