"""The token that stands for a person's yes to a launch that waits, where the client cannot ask."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mcp import raw
from tests.mcp.clients import http_client, refused, started, text_of, values_of
from tests.mcp.test_consent_meanwhile import COHORT_TOKEN, a_launch_that_waits
from tests.support.harness import World, serving, until

pytestmark = pytest.mark.e2e


@pytest.fixture
async def waiting(world: World) -> str:
    """Return the id of a launch in which two people wait for approval."""
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="0", AMPLITUDE_COHORT_WEBHOOK_TOKEN=COHORT_TOKEN)
    launch_id = await a_launch_that_waits(world, 1, 2)
    await token_of(world, launch_id)
    return launch_id


async def token_of(world: World, launch_id: str) -> str:
    """Return the token of a launch, once it is paused."""

    async def shown() -> str | None:
        token: str | None = (await world.get("get_launch", launch_id=launch_id))["resume_token"]
        return token

    token = await until(shown)
    assert token is not None
    return token


async def test_a_transport_that_cannot_ask_takes_the_launchs_token(world: World, waiting: str) -> None:
    async with http_client(world, "legacy") as client:
        shown = await client.call_tool("get_launch", {"launch_id": waiting})
        values = values_of(shown)
        assert values["message"].startswith("Resuming starts 2 people for up to 2 Koji credits. ")
        assert values["resume_token"] in values["next"]
        refusal = refused(await client.call_tool("resume_launch", {"launch_id": waiting}), "consent_required")
        assert "This transport" in refusal["message"]
        assert "2 people for up to 2 Koji credits" in refusal["message"]
        assert "resume_token resume_" in refusal["message"]
        assert started(world) == []
        asked = {"launch_id": waiting, "resume_token": values["resume_token"], "wait_seconds": 10}
        resumed = values_of(await client.call_tool("resume_launch", asked))
    assert resumed["invited"] == 2, text_of(shown)


async def test_a_client_that_declares_nothing_is_told_that_it_cannot_ask(world: World, waiting: str) -> None:
    async with serving(world.app) as url:
        answer = await raw.call(url, "resume_launch", {"launch_id": waiting}, capabilities={})
        message = answer["result"]["structuredContent"]["message"]
        assert "This client" in message
        token = next(word for word in message.split() if word.startswith("resume_") and "." in word)
        more = {"launch_id": waiting, "resume_token": token.rstrip(";"), "wait_seconds": 10}
        taken = await raw.call(url, "resume_launch", more, capabilities={})
    assert taken["result"]["structuredContent"]["invited"] == 2


async def test_it_is_for_these_people_this_launch_and_this_choice(world: World, waiting: str) -> None:
    token = await token_of(world, waiting)
    claim, _, signature = token.rpartition(".")
    launch, people, credits_, past, expires = claim.split(".")
    other = (await world.get("plan_cohort_launch", members=[{"email": "a@example.com"}]))["launch_id"]
    forged: list[dict[str, Any]] = [
        {"resume_token": f"{launch}.9.{credits_}.{past}.{expires}.{signature}"},
        {"resume_token": "resume_nonsense"},
        {"resume_token": f"{token}é"},
        {"resume_token": token, "in_doubt": "retry"},
        {"resume_token": token, "launch_id": other},
    ]
    for wrong in forged:
        answer = await world.call("resume_launch", **{"launch_id": waiting, **wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "resume_invalid"), wrong
    await a_launch_that_waits(world, 3, in_all=3)
    more = await world.call("resume_launch", launch_id=waiting, resume_token=token)
    assert (more.status_code, more.json()["code"]) == (409, "consent_required")
    token = await token_of(world, waiting)
    world.move(600)
    late = await world.call("resume_launch", launch_id=waiting, resume_token=token)
    assert (late.status_code, late.json()["code"]) == (409, "resume_expired")
    assert people == "2"
    await world.idle()
    assert started(world) == []


async def test_a_yes_is_used_up_once_people_were_started(world: World, waiting: str) -> None:
    token = await token_of(world, waiting)
    assert (await world.get("resume_launch", launch_id=waiting, resume_token=token, wait_seconds=10))[
        "invited"
    ] == 2
    await a_launch_that_waits(world, 5, 6)
    again = await world.call("resume_launch", launch_id=waiting, resume_token=token)
    assert (again.status_code, again.json()["code"]) == (409, "consent_required")
    assert len(started(world)) == 2


async def test_only_a_launch_that_waits_for_a_person_has_one(world: World) -> None:
    await world.reconfigure({"CONNECTOR_MAX_CREDITS_PER_DAY": "1"})
    members = [{"email": f"person-{n}@example.com"} for n in range(3)]
    launched = await world.get("launch_cohort_interviews", members=members, wait_seconds=5)
    assert (launched["pause_reason"], launched["resume_token"]) == ("daily_credits", None)


async def test_one_person_is_no_people(world: World) -> None:
    one = [{"email": "a@example.com"}]
    async with serving(world.app) as url:
        question, _ = await raw.asked(url, "launch_cohort_interviews", {"members": one})
        planned = await raw.call(url, "plan_cohort_launch", {"members": one, "wait_seconds": 10})
    said = [question, str(planned)]
    assert all("1 person" in text and "1 people" not in text for text in said), said
