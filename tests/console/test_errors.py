"""What goes wrong inside the console is a page in its frame: what happened and what to do, no trace, no JSON."""

from __future__ import annotations

import re
from typing import Any

import pytest
import structlog

from connector.errors import LedgerUnavailable
from connector.ledger.results.counters import Counters
from tests.console.visitor import OWN, Visitor, words
from tests.support.harness import World

pytestmark = pytest.mark.e2e


async def refused(visitor: Visitor, url: str, status: int) -> str:
    page = await visitor.get(url, status)
    assert visitor.page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in visitor.page.headers["content-security-policy"]
    assert visitor.page.headers["cache-control"] == "no-store"
    for left in ("Traceback", "RuntimeError", ".py"):
        assert left not in page
    assert 'aria-label="Screens"' in page, "the ways to the other screens"
    return words(page)


@pytest.mark.parametrize(
    ("url", "status", "told"),
    [
        ("/console/nothing", 404, "There is no such page."),
        ("/console/launches/lau_1", 404, "there is no such launch"),
        ("/console/receipts?since=tomorrow", 422, "is no time"),
        ("/console/receipts?connection=unknown", 404, "unknown"),
    ],
)
async def test_a_screen_that_cannot_be_shown_says_why(
    owner: Visitor, url: str, status: int, told: str
) -> None:
    page = await refused(owner, url, status)
    assert told in page
    assert "Back to Today" in page
    assert "/console/receipts?connection=default" in owner.page.text


async def test_a_fault_is_a_page_that_names_its_place_in_the_log(
    world: World, owner: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure: Exception = RuntimeError("what a person said")

    def fails(*_: Any, **__: Any) -> Any:
        raise failure

    monkeypatch.setattr(Counters, "since", fails)
    with structlog.testing.capture_logs() as logs:
        page = await refused(owner, "/console", 500)
    assert "what a person said" not in page
    assert "Load again" in page
    found = re.search(r"its log says where, under ([0-9a-f]{16})\.?", page)
    assert found is not None
    assert owner.page.headers["x-request-id"] == found[1]
    assert found[1] in str(logs)
    assert "what a person said" not in str(logs)
    failure = LedgerUnavailable("The ledger is full; free some disk.")
    page = await refused(owner, "/console", 503)
    assert "The ledger is full; free some disk." in page
    assert "Load again" in page
    assert world.context.ledger is not None


async def test_a_form_that_a_screen_does_not_know_leads_back_to_it(owner: Visitor) -> None:
    answer = await owner.client.post("/console/themes?since=2026-11-01", data={}, headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/themes?since=2026-11-01")
