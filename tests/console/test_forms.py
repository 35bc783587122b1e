"""Forms of the console: only its own pages may send them, only for their session, and only within its scopes."""

from __future__ import annotations

import pytest

from tests.console.test_entry import named
from tests.console.visitor import OWN, Visitor, words
from tests.support.harness import TOKEN, World, message

pytestmark = pytest.mark.e2e

PLAN = "/console/launches/new"


async def launches(world: World) -> int:
    return len((await world.get("list_launches"))["items"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ],
    ids=str,
)
async def test_a_form_of_another_page_is_refused(
    world: World, owner: Visitor, headers: dict[str, str]
) -> None:
    form = {"form_token": owner.form_token(), "cohort_id": "c-1"}
    for url, fields in ((PLAN, form), ("/console/session", {"token": TOKEN}), ("/console/sign-out", form)):
        refused = await owner.client.post(url, data=fields, headers=headers)
        assert refused.status_code == 403, url
        assert "page of another site" in words(refused.text)
        assert "set-cookie" not in refused.headers
    assert await launches(world) == 0


async def test_an_older_browser_is_believed_by_its_origin(owner: Visitor) -> None:
    form = {"form_token": owner.form_token(), "do": "revoke", "name": "x"}
    for headers in ({"Origin": "http://127.0.0.1:8080"}, {}):
        assert (await owner.client.post("/console/access", data=form, headers=headers)).status_code == 303


async def test_a_form_of_another_session_is_refused(world: World, owner: Visitor, stranger: Visitor) -> None:
    await stranger.sign_in()
    for token in ("", "0" * 64, stranger.form_token()):
        fields = {"form_token": token, "cohort_id": "c-1"}
        refused = await owner.client.post(PLAN, data=fields, headers=OWN)
        assert refused.status_code == 403
        assert "another session" in words(refused.text)
    assert await launches(world) == 0


async def test_a_form_without_a_session_does_nothing(world: World, stranger: Visitor) -> None:
    answer = await stranger.client.post(PLAN, data={"cohort_id": "c-1"}, headers=OWN)
    assert answer.headers["location"] == "/console/session?next=%2Fconsole"
    assert await launches(world) == 0


async def test_who_may_only_look_has_no_buttons_and_is_refused(world: World, stranger: Visitor) -> None:
    await world.control("POST", "/study", {"people": 3, "interviews": False})
    plan = await world.get("plan_cohort_launch", cohort_id="onboarding-drop-off", wait_seconds=20)
    await world.deliver(message("itv-1", quality_score=1))
    await world.ended("itv-1")
    launch = f"/console/launches/{plan['launch_id']}"
    await stranger.sign_in(await named(world, "read"))
    for path in ("/console", "/console/receipts?status=skipped", "/console/receipts/itv-1", launch, PLAN):
        page = await stranger.get(path)
        assert page.count('method="post"') == 1, f"{path}: only Sign out"
        assert "Replay all" not in page
    for path, fields in (
        ("/console/receipts/itv-1", {"do": "replay"}),
        ("/console/receipts/itv-1", {"do": "force"}),
        ("/console/receipts?status=skipped", {}),
        (launch, {"do": "launch", "plan_token": plan["plan_token"]}),
        (launch, {"do": "resume"}),
        (launch, {"do": "retry"}),
        (launch, {"do": "cancel"}),
        (PLAN, {"cohort_id": "onboarding-drop-off"}),
        ("/console/access", {"do": "create", "name": "mine", "scope_read": "on"}),
    ):
        answer = await stranger.post(path, **fields)
        assert answer.headers["location"].startswith(path.partition("?")[0])
        shown = words(await stranger.get(answer.headers["location"]))
        assert "needs the scope" in shown or "every scope" in shown, (path, fields, shown)
    assert (await world.get("get_launch", launch_id=plan["launch_id"]))["status"] == "planned"
    assert not world.sandbox.koji.store.interviews
    assert await launches(world) == 1
    refused = await world.get("list_audit", token="robot")
    assert {(one["surface"], one["outcome"]) for one in refused["items"]} == {("console", "missing_scope")}


async def test_who_may_not_read_sees_nothing(world: World, stranger: Visitor) -> None:
    token = await named(world, "write")
    await stranger.client.post("/console/session", data={"token": token}, headers=OWN)
    assert "needs the scope read" in words(await stranger.get("/console/receipts", 403))


async def test_a_token_of_one_connection_sees_no_other(world: World, stranger: Visitor) -> None:
    await world.deliver(message("itv-default"))
    await world.ended("itv-default")
    await stranger.sign_in(await named(world, "read", only=("shop",)))
    page = await stranger.get("/console/receipts")
    assert "Connection <strong>shop</strong>" in page
    assert "itv-default" not in page
    assert "this token is not for the connection default" in words(
        await stranger.get("/console/receipts?connection=default", 403)
    )
    await stranger.get("/console/receipts/itv-default", 404)


async def test_what_was_done_is_told_once_and_cannot_be_forged(owner: Visitor) -> None:
    answer = await owner.post("/console/access", do="revoke", name="unknown")
    (said,) = [name for name in owner.client.cookies if name.endswith("-said")]
    assert "no token of that name" in await owner.get(answer.headers["location"])
    assert "no token of that name" not in await owner.get(answer.headers["location"])
    owner.client.cookies.set(said, '{"text": "You won"}')
    assert "You won" not in await owner.get("/console")
