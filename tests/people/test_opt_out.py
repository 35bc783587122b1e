"""No means no: the link of an invitation stops all invitations of its person, for good and everywhere."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from connector.security.opt_out_token import OptOut, opt_out_token, read_opt_out_token
from tests.support.harness import DAY, QUICK, World, open_world, until

ADA = {"user_id": "user-ada", "email": "ada@example.com"}
BOB = {"user_id": "user-bob", "email": "bob@example.com"}
ID = f"inv_{'0123456789abcdef' * 2}"


@pytest.mark.unit
class TestToken:
    @pytest.mark.parametrize("person", [1, -1, 2**63 - 1, -(2**63)])
    def test_it_names_what_was_signed(self, person: int) -> None:
        assert read_opt_out_token(b"key", opt_out_token(b"key", ID, person)) == OptOut(ID, person)

    def test_every_changed_byte_makes_it_a_forged_one(self) -> None:
        token = opt_out_token(b"key", ID, 7)
        whole = base64.urlsafe_b64decode(token)
        for at in range(len(whole)):
            changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
            assert read_opt_out_token(b"key", base64.urlsafe_b64encode(changed).decode()) is None
        assert read_opt_out_token(b"another key", token) is None

    @pytest.mark.parametrize("token", ["", "x", "é", "====", "inv_1", "A" * 48, "A" * 10_000])
    def test_noise_is_no_token(self, token: str) -> None:
        assert read_opt_out_token(b"key", token) is None


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        options=QUICK,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_CREDITS_PER_DAY="1000",
    ) as opened:
        toml = f"""
[connections.pricing]
koji_api_key = "another-koji-key"
koji_base_url = "{opened.sandbox_url}/koji"
koji_project_id = "pricing"
koji_invite_by = "link"
amplitude_api_key = "another-amplitude-key"
"""
        await opened.restart(toml=toml)
        yield opened


def path_of(invitation: dict[str, Any]) -> str:
    return urlsplit(str(invitation["opt_out_link"])).path


async def invited(world: World, person: dict[str, str] = ADA, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await world.get("start_interview", **person, **fields)
    assert answer["status"] == "started", answer
    return answer


@pytest.mark.e2e
async def test_a_no_stops_all_invitations_on_all_connections(world: World) -> None:
    path = path_of(await invited(world, mode="text"))
    waiting = await world.get("plan_cohort_launch", members=[ADA, BOB], connection="pricing")
    assert waiting["to_invite"] == 2
    page = await world.client.post(
        path, data={"List-Unsubscribe": "One-Click"}, headers={"Authorization": ""}
    )
    assert page.status_code == 200
    assert "You get no more invitations" in page.text
    refused = await world.get("start_interview", **ADA, reinvite_after_days=0)
    assert (refused["status"], refused["reason"], refused["interview_link"]) == ("skipped", "opted_out", None)
    for connection in ("default", "pricing"):
        for fields in ({}, {"override_rest": "they must", "reinvite_after_days": 0}):
            plan = await world.get(
                "plan_cohort_launch", members=[{"email": "ADA@example.com "}], connection=connection, **fields
            )
            assert (plan["to_invite"], plan["skipped"]) == (0, {"opted_out": 1})
    launched = await world.get(
        "launch_cohort_interviews", plan_token=waiting["plan_token"], connection="pricing", wait_seconds=20
    )
    assert (launched["invited"], launched["skipped"]) == (1, {"opted_out": 1})


@pytest.mark.e2e
async def test_looking_changes_nothing(world: World) -> None:
    path = path_of(await invited(world))
    for method in ("GET", "HEAD"):
        for _ in range(3):
            assert (await world.client.request(method, path)).status_code == 200
    assert (await world.get("plan_cohort_launch", members=[ADA], reinvite_after_days=0))["to_invite"] == 1


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("de-AT", "Nicht mehr einladen"),
        ("fr", "Ne plus"),
        ("es", "No invitarme"),
        ("it", "Stop inviting"),
        (None, "Stop inviting"),
    ],
)
async def test_the_page_speaks_the_invitations_language(world: World, locale: str | None, words: str) -> None:
    answer = await invited(world, locale=locale)
    page = await world.client.get(path_of(answer))
    assert words in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert ADA["email"] not in page.text


@pytest.mark.e2e
async def test_a_forged_link_does_nothing(world: World) -> None:
    path = path_of(await invited(world))
    for forged in (path[:-2] + ("AA" if path[-2:] != "AA" else "BB"), "/o/x", f"/o/{'A' * 48}"):
        for method in ("GET", "POST"):
            assert (await world.client.request(method, forged)).status_code == 404
    assert (await world.get("plan_cohort_launch", members=[ADA], reinvite_after_days=0))["to_invite"] == 1


@pytest.mark.e2e
async def test_what_waits_is_called_off_and_told_once(world: World) -> None:
    await world.restart(CONNECTOR_MAX_CREDITS_PER_DAY="1")
    path = path_of(await invited(world, mode="text"))
    waiting = await world.get(
        "launch_cohort_interviews", members=[ADA, BOB], reinvite_after_days=0, mode="text"
    )
    assert waiting["waiting"] == 2
    for _ in range(3):
        assert (await world.client.post(path)).status_code == 200
    launch = await world.get("get_launch", launch_id=waiting["launch_id"], state="cancelled")
    assert (launch["waiting"], launch["cancelled"]) == (1, 1)
    assert [(one["user_id"], one["reason"]) for one in launch["invitations"]] == [("user-ada", "opted_out")]
    told = (await world.client.get("/triggers/person_opted_out")).json()
    assert [(one["connection"], one["user_id"], one["email"]) for one in told] == [("default", *ADA.values())]


@pytest.mark.e2e
async def test_a_no_outlives_retention_and_erasure(world: World) -> None:
    answer = await invited(world)
    path = path_of(answer)
    await invited(world, ADA, connection="pricing")
    world.move(100 * DAY)

    async def pruned() -> bool:
        await world.idle()
        launch = await world.get("get_launch", launch_id=answer["launch_id"])
        return all(one["email"] is None for one in launch["invitations"])

    await until(pruned)
    assert (await world.client.post(path)).status_code == 200
    for name in ("default", "pricing"):
        await world.get("forget_respondent", email=ADA["email"], connection=name, wait_seconds=20)
    plan = await world.get("plan_cohort_launch", members=[ADA, {"user_id": "user-ada"}], connection="pricing")
    assert set(plan["skipped"]) <= {"suppressed", "opted_out", "duplicate_in_cohort"}
    told = (await world.client.get("/triggers/person_opted_out")).json()
    assert [(one["user_id"], one["email"]) for one in told] == [(None, None)]


@pytest.mark.e2e
async def test_a_link_works_after_its_person_was_erased(world: World) -> None:
    path = path_of(await invited(world))
    await world.get("forget_respondent", email=ADA["email"], user_id=ADA["user_id"], wait_seconds=20)
    assert (await world.get("plan_cohort_launch", members=[ADA], connection="pricing"))["to_invite"] == 1
    assert (await world.client.post(path)).status_code == 200
    plan = await world.get("plan_cohort_launch", members=[ADA], connection="pricing")
    assert plan["skipped"] == {"opted_out": 1}


@pytest.mark.e2e
async def test_a_no_after_the_erasure_counts_for_every_name_of_the_person(world: World) -> None:
    path = path_of(await invited(world, {"user_id": ADA["user_id"]}))
    assert (await world.get("start_interview", **ADA))["status"] == "already_invited"
    await world.get("forget_respondent", **ADA, wait_seconds=20)
    late = {**ADA, "email": "ada.new@example.com"}
    assert (await world.get("start_interview", **late))["reason"] == "suppressed"
    assert (await world.client.post(path)).status_code == 200
    for email in (ADA["email"], late["email"]):
        skipped = await world.get("start_interview", email=email, connection="pricing")
        assert (skipped["status"], skipped["reason"]) == ("skipped", "opted_out"), email


@pytest.mark.e2e
async def test_every_invitation_carries_its_link(world: World) -> None:
    single = await invited(world)
    assert single["opt_out_link"].startswith(f"{world.settings.public_url}/o/")
    launch = await world.get("get_launch", launch_id=single["launch_id"])
    assert launch["invitations"][0]["opt_out_link"] == single["opt_out_link"]
    (told, *_) = (await world.client.get("/triggers/invitation_created")).json()
    assert told["opt_out_link"] == single["opt_out_link"]
