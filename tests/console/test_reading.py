"""What a person finds on a screen without knowing the connector: who, why, until when, and what to do."""

from __future__ import annotations

import html
import re

import pytest

from tests.console.visitor import Visitor, words
from tests.support.harness import World, until

pytestmark = pytest.mark.e2e


def link(page: str, label: str) -> str:
    """Return where a link leads."""
    (found,) = re.findall(rf'href="([^"]*)"[^>]*>{re.escape(label)}</a>', page)
    return html.unescape(found)


async def until_shown(owner: Visitor, url: str, text: str) -> str:
    async def is_shown() -> bool:
        return text in words(await owner.get(url))

    await until(is_shown)
    return owner.page.text


async def test_a_plan_whose_time_is_over_is_planned_again(world: World, owner: Visitor) -> None:
    await world.control("POST", "/study", {"people": 12, "interviews": False})
    await owner.get("/console/launches/new")
    asked = {"cohort_id": "onboarding-drop-off", "mode": "text", "max_interviews": "10"}
    await owner.press("Show the plan", **asked)
    url = owner.went_to
    await until_shown(owner, url, "Launch exactly these 10 people")
    plan = owner.page
    quota = {"property": "plan", "values": {"free": 3, "paid": 2}}
    other = await world.get("plan_cohort_launch", **asked, quota=quota, wait_seconds=10)
    assert "Waits for you: check and launch by" in words(await owner.get("/console/launches"))
    world.clock.move(601)
    owner.page = plan
    page = await owner.press("Launch exactly these 10 people")
    assert "– expired" in words(page)
    assert "expired: plan again" in words(page)
    assert "Launch exactly" not in page
    form = await owner.get(link(page, "plan again"))
    assert 'value="10"' in form
    assert '<option value="onboarding-drop-off" selected>' in form
    assert '<option value="text" selected>' in form
    page = await owner.get("/console/launches?status=planned")
    assert words(page).count("– expired 0") + words(page).count("– expired 10") == 2
    form = await owner.get(link(page.split(other["launch_id"])[1].split("</tr>")[0], "plan again"))
    assert 'value="free: 3, paid: 2"' in form
