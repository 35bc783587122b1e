"""The register of asking: over all connections no person is asked before the rests are over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from connector.ledger.db.schema.launches import invitation
from tests.support.harness import DAY, QUICK, World, open_world

pytestmark = pytest.mark.e2e

ADA = {"user_id": "user-ada", "email": "ada@example.com"}
BOB = {"user_id": "user-bob", "email": "bob@example.com"}
OTHERS = """
[connections.pricing]
koji_api_key = "sandbox-koji-key"
koji_project_id = "pricing"
amplitude_api_key = "sandbox-amplitude-key"
[connections.elsewhere]
koji_api_key = "sandbox-koji-key"
koji_project_id = "elsewhere"
amplitude_api_key = "another-amplitude-key"
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        options=QUICK,
        toml=OTHERS,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_CREDITS_PER_DAY="1000",
    ) as opened:
        base = {"koji_base_url": f"{opened.sandbox_url}/koji"}
        lines = "".join(f'{name} = "{value}"\n' for name, value in base.items())
        toml = OTHERS.replace("koji_project_id", f"{lines}koji_project_id")
        await opened.restart(toml=toml, CONNECTOR_REST_DAYS_AFTER_INVITATION="30")
        yield opened


async def plan(world: World, *members: Any, **fields: Any) -> Any:
    return await world.get("plan_cohort_launch", members=list(members), **fields)


async def test_a_person_rests_on_every_connection(world: World) -> None:
    await world.get("start_interview", **ADA)
    asked = await plan(world, ADA, BOB, connection="pricing")
    assert (asked["to_invite"], asked["skipped"]) == (1, {"resting": 1})
    (example,) = asked["skipped_examples"]
    assert (example["user_id"], example["reason"], example["rule"]) == (
        "user-ada",
        "resting",
        "after_invitation",
    )
    single = await world.get("start_interview", **ADA, connection="pricing")
    assert (single["status"], single["reason"], single["until"]) == ("skipped", "resting", example["until"])
    world.move(30 * DAY)
    assert (await plan(world, ADA, connection="pricing"))["to_invite"] == 1


async def test_emails_count_everywhere_and_user_ids_in_their_amplitude_project(world: World) -> None:
    await world.get("start_interview", **ADA)
    same_id, same_email = {"user_id": "user-ada"}, {"user_id": "u-7", "email": " ADA@example.com"}
    assert (await plan(world, same_id, connection="pricing"))["skipped"] == {"resting": 1}
    assert (await plan(world, same_id, connection="elsewhere"))["skipped"] == {}
    assert (await plan(world, same_email, connection="elsewhere"))["skipped"] == {"resting": 1}


async def test_an_override_lifts_rests_and_is_audited(world: World) -> None:
    await world.get("start_interview", **ADA)
    asked = await plan(world, ADA, connection="pricing", override_rest="legal asks")
    assert asked["to_invite"] == 1
    started = await world.get(
        "launch_cohort_interviews", plan_token=asked["plan_token"], connection="pricing", wait_seconds=20
    )
    assert started["invited"] == 1
    audit = (await world.get("list_audit", connection="pricing"))["items"]
    assert "legal asks" in str([one["touched"] for one in audit])


async def test_two_launches_at_once_take_a_person_once(world: World) -> None:
    plans = [await plan(world, ADA, connection=name) for name in ("default", "pricing", "elsewhere")]
    assert [each["to_invite"] for each in plans] == [1, 1, 1]
    names = ("default", "pricing", "elsewhere")
    launched = await asyncio.gather(
        *(
            world.get(
                "launch_cohort_interviews", plan_token=each["plan_token"], connection=name, wait_seconds=20
            )
            for name, each in zip(names, plans, strict=True)
        )
    )
    assert sorted(each["invited"] for each in launched) == [0, 0, 1]
    assert sorted(each["skipped"].get("resting", 0) for each in launched) == [0, 1, 1]
    late = next(each for each in launched if each["skipped"])
    assert late["skipped_examples"][0]["until"] is not None


async def test_at_most_so_many_invitations_in_a_window(world: World) -> None:
    await world.restart(CONNECTOR_REST_DAYS_AFTER_INVITATION="0", CONNECTOR_MAX_INVITATIONS="2/365")
    for name in ("default", "pricing"):
        await world.get("start_interview", **ADA, connection=name)
    refused = await world.get("start_interview", **ADA, connection="elsewhere")
    assert (refused["status"], refused["reason"]) == ("skipped", "resting")


async def test_a_plan_warns_of_people_whom_another_connection_asked_lately(world: World) -> None:
    await world.restart(CONNECTOR_REST_DAYS_AFTER_INVITATION="0")
    await world.get("start_interview", **ADA)
    asked = await plan(world, ADA, BOB, connection="pricing")
    assert asked["to_invite"] == 2
    assert "1 person invited by another connection within 7 days before." in asked["warnings"]
    world.move(8 * DAY)
    later = await plan(world, ADA, BOB, connection="pricing")
    assert not any("another connection" in warning for warning in later["warnings"])


async def test_invitations_from_before_the_register_count(world: World) -> None:
    await world.get("start_interview", **ADA)
    await world.context.ledger.db.write(lambda c: c.execute(update(invitation).values(register=None)))
    await world.restart()
    assert (await plan(world, ADA, connection="pricing"))["skipped"] == {"resting": 1}


async def test_an_erasure_clears_what_the_register_holds(world: World) -> None:
    await world.get("start_interview", **ADA)
    await world.get("forget_respondent", email=ADA["email"], wait_seconds=20)
    assert (await plan(world, ADA))["skipped"] == {"suppressed": 1}
    assert (await plan(world, ADA, connection="pricing"))["skipped"] == {}


async def test_a_cohorts_webhook_keeps_rests_too(world: World) -> None:
    await world.restart(AMPLITUDE_COHORT_WEBHOOK_TOKEN="t0ken")
    await world.get("start_interview", **ADA, connection="pricing")
    users = [{"user_id": one["user_id"], "user_properties": {"email": one["email"]}} for one in (ADA, BOB)]
    body = {"cohort_id": "c1", "in_cohort": True, "computed_time": "1790000000", "users": users}
    await world.client.post(
        "/webhooks/amplitude/cohorts", json=body, headers={"Authorization": "Bearer t0ken"}
    )
    await world.idle()
    (launch,) = (await world.get("list_launches"))["items"]
    assert (launch["to_invite"], launch["skipped"]) == (1, {"resting": 1})
