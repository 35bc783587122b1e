"""Amplitude's cohort webhook from outside: who enters is invited, who leaves is called off, nobody twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.errors import LedgerUnavailable
from connector.http import token_throttle
from connector.http.webhooks.cohort import LARGEST_BODY
from connector.ledger.db.database import Database
from tests.people.test_forget_respondent import left_in_files
from tests.support.harness import DAY, QUICK, World, message, open_world, until
from tests.support.toy_server import assert_problem

pytestmark = pytest.mark.e2e

COHORT_TOKEN = "a-cohort-token-of-the-tests"
OTHER_TOKEN = "a-cohort-token-of-the-shop"
COHORT = "7khm89cz"
AT = 1_790_000_000
ROUTE = "/webhooks/amplitude/cohorts"
PROJECT = QUICK.koji_project_id


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        KOJI_PROJECT_ID=PROJECT,
        AMPLITUDE_COHORT_WEBHOOK_TOKEN=COHORT_TOKEN,
        CONNECTOR_MAX_CREDITS_PER_DAY="10000",
    ) as opened:
        yield opened


def user(number: int, **properties: Any) -> dict[str, Any]:
    return {
        "user_id": f"user-{number:03}",
        "user_properties": {"email": f"person-{number:03}@example.com", "country": "US", **properties},
    }


def users(*numbers: int) -> list[dict[str, Any]]:
    return [user(n) for n in numbers]


def cohort_message(
    number: int, rows: list[Any], *, entered: bool = True, at: int = AT, **more: Any
) -> dict[str, Any]:
    """Return the default payload as Amplitude documents it."""
    way = "enter" if entered else "exit"
    return {
        "cohort_name": "Onboarding drop-off",
        "cohort_id": COHORT,
        "in_cohort": entered,
        "computed_time": str(at),
        "message_id": f"9baaa88f-9d46-4ee5-a946-be0c6aea0046::{way}::{number}",
        "users": rows,
        **more,
    }


async def send(
    world: World, body: Any, *, path: str = ROUTE, token: str | None = COHORT_TOKEN, **headers: str
) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {"User-Agent": "Amplitude/Webhook/1.0", "Content-Type": "application/json", **headers}
    told |= {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app, raise_app_exceptions=False),
        base_url="http://connector",
        verify=False,
    ) as client:
        return await client.post(path, content=raw, headers=told)


async def tell(world: World, *messages: Any, path: str = ROUTE, token: str = COHORT_TOKEN) -> None:
    for one in messages:
        answer = await send(world, one, path=path, token=token)
        assert answer.status_code == 200, answer.text
        assert answer.json()["duplicate"] is False


async def launch_of(world: World, connection: str = "default") -> dict[str, Any] | None:
    listed = (await world.get("list_launches", connection=connection))["items"]
    if not listed:
        return None
    found: dict[str, Any] = await world.get(
        "get_launch", launch_id=listed[0]["launch_id"], connection=connection
    )
    return found


async def seen(world: World, connection: str = "default", **wanted: Any) -> dict[str, Any]:
    """Wait until the newest launch carries these values; return it."""
    last: dict[str, Any] | None = None

    async def looked() -> Any:
        nonlocal last
        last = await launch_of(world, connection)
        return last if last and {**last, **wanted} == last else None

    try:
        found: dict[str, Any] = await until(looked)
    except AssertionError:
        raise AssertionError({name: (last or {}).get(name) for name in [*wanted, "status"]}) from None
    return found


async def settled(world: World) -> None:
    """Wait until no message is left to decide over."""

    async def none_open() -> bool:
        return await world.context.ledger.cohort_inbox.next_open([*world.settings.connections]) is None

    await until(none_open)


def started(world: World) -> list[Any]:
    return list(world.sandbox.koji.store.interviews.values())


def whom(world: World) -> list[str]:
    return [one.metadata.get("email", "") for one in started(world)]


async def test_who_enters_is_invited_into_one_standing_launch(world: World) -> None:
    answer = await send(world, cohort_message(0, users(1, 2)))
    assert answer.status_code == 200
    assert answer.json() == {"status": "accepted", "duplicate": False, "users": 2}
    first = await seen(world, invited=2)
    assert (first["status"], first["cohort_id"], first["cohort_name"]) == (
        "running", COHORT, "Onboarding drop-off",
    )  # fmt: skip
    assert [one["user_id"] for one in first["invitations"]] == ["user-001", "user-002"]
    (of_first,) = (one for one in started(world) if one.metadata["email"] == "person-001@example.com")
    assert of_first.metadata == {
        "email": "person-001@example.com",
        "launch_id": first["launch_id"],
        "cohort_id": COHORT,
    }
    await tell(world, cohort_message(1, users(2, 3), at=AT + 60))
    grown = await seen(world, invited=3)
    assert grown["launch_id"] == first["launch_id"]
    assert (grown["members_total"], grown["to_invite"], grown["skipped"]) == (4, 3, {"already_invited": 1})
    assert len((await world.get("list_launches"))["items"]) == 1


async def test_people_without_properties_are_invited_by_their_id_alone(world: World) -> None:
    rows = [{"user_id": "user_one@example.com"}, {"user_id": "user-2"}, {"user_id": None}]
    await tell(world, cohort_message(0, rows))
    launch = await seen(world, invited=2)
    assert launch["skipped"] == {"no_identifier": 1}
    assert [one["user_id"] for one in launch["invitations"]] == ["user_one@example.com", "user-2"]


async def test_an_answer_carries_the_cohort_to_the_person_in_amplitude(world: World) -> None:
    await tell(world, cohort_message(0, users(1)))
    await seen(world, invited=1)
    interview = started(world)[0]
    await world.deliver(message("int-1", external_id=interview.external_id, respondent_email=None))
    assert (await world.ended("int-1"))["status"] == "synced"
    (event,) = world.stored("koji.interview_completed")
    assert event["user_id"] == "user-001"
    properties = event["event_properties"]
    assert (properties["cohort_id"], properties["cohort_name"]) == (COHORT, "Onboarding drop-off")
    assert (await seen(world))["status"] == "running", "a standing launch goes on"


async def test_a_bare_list_names_its_cohort_in_the_address(world: World) -> None:
    rows = [*users(1), {"user_id": "user-002", "email": "person-002@example.com"}]
    path = f"{ROUTE}?cohort_id=list-1&token={COHORT_TOKEN}"
    answer = await send(world, rows, path=path, token=None)
    assert (answer.status_code, answer.json()["duplicate"]) == (200, False)
    launch = await seen(world, invited=2, cohort_id="list-1", cohort_name=None)
    assert launch["invitations"][1]["email"] == "person-002@example.com"
    again = await send(world, rows, path=path, token=None)
    assert again.json()["duplicate"] is True
    other = await send(world, rows, path=f"{ROUTE}?cohort_id=list-2", token=COHORT_TOKEN)
    assert other.json()["duplicate"] is False, "the same people in another cohort"
    await settled(world)
    assert len(started(world)) == 2
    refused = assert_problem(await send(world, rows), 422, "invalid_input")
    assert "cohort_id" in refused["detail"]


async def test_a_message_counts_once_however_often_it_comes(world: World) -> None:
    answers = await asyncio.gather(*(send(world, cohort_message(0, users(1, 2))) for _ in range(5)))
    assert sorted(one.json()["duplicate"] for one in answers) == [False, True, True, True, True]
    launch = await seen(world, invited=2)
    assert launch["members_total"] == 2
    changed = await send(world, cohort_message(0, users(3)))
    assert changed.json()["duplicate"] is True, "its id tells, not its body"


async def test_rows_of_one_person_are_one_invitation(world: World) -> None:
    rows = [user(1), {"user_id": "Person-001@example.com"}, user(1), user(2)]
    await tell(world, cohort_message(0, rows))
    launch = await seen(world, invited=2)
    assert launch["skipped"] == {"duplicate_in_cohort": 2}


async def test_many_people_are_decided_over_in_pieces(world: World) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="0")
    await tell(world, cohort_message(0, [*users(*range(4_500)), user(1)]))
    launch = await seen(world, status="paused", members_total=4_501, waiting=4_500)
    assert launch["skipped"] == {"duplicate_in_cohort": 1}


async def test_whoever_leaves_before_the_start_is_called_off_and_may_come_back(world: World) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="1")
    await tell(world, cohort_message(0, users(1, 2, 3)))
    await seen(world, status="paused", waiting=3)
    await tell(world, cohort_message(1, [{"user_id": "user-002"}], entered=False, at=AT + 60))
    launch = await seen(world, waiting=2, cancelled=1)
    assert (launch["to_invite"], launch["pause_reason"]) == (3, "approval")
    await world.get("resume_launch", launch_id=launch["launch_id"])
    await seen(world, invited=2, status="running")
    assert sorted(whom(world)) == ["person-001@example.com", "person-003@example.com"]
    await tell(world, cohort_message(2, users(2), at=AT + 120))
    await seen(world, invited=3, cancelled=1)


async def test_leaving_after_the_start_changes_nothing(world: World) -> None:
    await tell(world, cohort_message(0, users(1)))
    await seen(world, invited=1)
    await tell(
        world,
        cohort_message(1, users(1), entered=False, at=AT + 60),
        cohort_message(2, users(1), at=AT + 120),
    )
    await settled(world)
    launch = await seen(world, invited=1, cancelled=0)
    assert launch["skipped"] == {"already_invited": 1}


async def test_a_launch_that_everybody_left_needs_no_approval(world: World) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="1")
    await tell(world, cohort_message(0, users(1, 2)))
    await seen(world, status="paused", waiting=2)
    await tell(world, cohort_message(1, users(1, 2), entered=False, at=AT + 60))
    await seen(world, status="running", pause_reason=None, cancelled=2)
    await tell(world, cohort_message(2, users(3), at=AT + 120))
    await seen(world, invited=1)


@pytest.mark.parametrize("left_first", [True, False], ids=["left came first", "entered came first"])
async def test_the_later_computed_message_wins_whatever_came_first(world: World, left_first: bool) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="0")
    entered = cohort_message(0, users(1, 2), at=AT)
    left = cohort_message(1, users(1), entered=False, at=AT + 60)
    for one in (left, entered) if left_first else (entered, left):
        await tell(world, one)
        await settled(world)
    launch = await seen(world, waiting=1)
    states = await world.get("get_launch", launch_id=launch["launch_id"], state="waiting")
    assert [one["user_id"] for one in states["invitations"]] == ["user-002"]
    older = cohort_message(2, users(2), entered=False, at=AT - 60)
    await tell(world, older)
    await settled(world)
    await seen(world, waiting=1)


async def test_of_equal_times_the_last_to_arrive_wins(world: World) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="0")
    await tell(world, cohort_message(0, users(1)))
    await settled(world)
    await tell(world, cohort_message(1, users(1), entered=False))
    await settled(world)
    await seen(world, waiting=0, cancelled=1)


async def test_people_above_the_threshold_wait_for_approval_and_approved_ones_do_not_count(
    world: World,
) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="3")
    await tell(world, cohort_message(0, users(1, 2)))
    await seen(world, status="running", invited=2)
    await tell(world, cohort_message(1, users(3, 4), at=AT + 60))
    held = await seen(world, status="paused", pause_reason="approval", waiting=2, invited=2)
    assert held["resumes_at"] is None
    assert "resume_launch" in held["message"]
    await tell(world, cohort_message(2, users(5), at=AT + 120))
    await seen(world, status="paused", waiting=3)
    world.move(DAY)
    await world.idle()
    assert len(started(world)) == 2, "a new day approves nobody"
    resumed = await world.get("resume_launch", launch_id=held["launch_id"], wait_seconds=10)
    assert (resumed["status"], resumed["invited"], resumed["pause_reason"]) == ("running", 5, None)
    await tell(world, cohort_message(3, users(6, 7, 8), at=AT + 180))
    await seen(world, status="running", invited=8)
    await tell(world, cohort_message(4, users(9), at=AT + 240))
    await seen(world, status="paused", waiting=1)
    paused = (await world.client.get("/triggers/launch_paused")).json()
    assert [one["pause_reason"] for one in paused] == ["approval", "approval"]


async def test_check_connection_tells_of_the_webhook_and_its_next_step(world: World) -> None:
    async def told() -> tuple[str, str]:
        found = await world.get("check_connection")
        (one,) = [check for check in found["checks"] if check["name"] == "cohort_webhook"]
        assert COHORT_TOKEN not in str(found)
        return one["status"], one["message"]

    status, words = await told()
    assert status == "warn"
    assert f"{world.settings.public_url}{ROUTE} with the header Authorization" in words
    await tell(world, cohort_message(0, users(1)))
    status, words = await told()
    at = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(world.clock.seconds()))
    assert (status, words.startswith(f"The last message of a cohort came at {at}")) == ("ok", True), words
    await world.restart(KOJI_PROJECT_ID="")
    status, words = await told()
    assert (status, "KOJI_PROJECT_ID" in words) == ("warn", True)
    await world.restart(AMPLITUDE_COHORT_WEBHOOK_TOKEN="")
    status, words = await told()
    assert (status, "Set AMPLITUDE_COHORT_WEBHOOK_TOKEN" in words) == ("ok", True)


async def test_check_connection_names_the_address_of_the_connection(world: World) -> None:
    shop = f'[connections.shop]\nkoji_project_id = "{PROJECT}"\namplitude_cohort_webhook_token = "{OTHER_TOKEN}"\n'
    await world.restart(toml=shop)
    await tell(world, cohort_message(0, users(1)))
    found = await world.get("check_connection", connection="shop")
    (words,) = [check["message"] for check in found["checks"] if check["name"] == "cohort_webhook"]
    assert f"{world.settings.public_url}{ROUTE}/shop" in words, (
        "a message of another connection does not count"
    )


async def test_the_threshold_is_of_the_connection_and_of_the_day(world: World) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="2")
    await tell(world, cohort_message(0, users(1, 2)))
    await seen(world, invited=2)
    await tell(world, cohort_message(1, users(3), cohort_id="another"))
    await seen(world, cohort_id="another", status="paused", waiting=1)
    world.move(DAY)
    await tell(world, cohort_message(2, users(4, 5), cohort_id="a-third"))
    await seen(world, cohort_id="a-third", status="running", invited=2)


async def test_people_above_the_cap_wait_for_the_next_day(world: World) -> None:
    await world.restart(CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH="2", CONNECTOR_COHORT_APPROVE_ABOVE="100")
    await tell(world, cohort_message(0, users(1, 2, 3, 4, 5)))
    launch = await seen(world, status="running", invited=2, waiting=3)
    assert any("CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH" in one for one in launch["warnings"])
    assert "over_limit" not in launch["skipped"]
    # others are not held by it
    single = await world.get("start_interview", email="ada@example.com")
    assert single["status"] == "started"
    members = [{"email": "grace@example.com"}]
    assert (await world.get("launch_cohort_interviews", members=members))["status"] == "finished"
    await world.restart()
    await world.idle()
    assert (await world.get("get_launch", launch_id=launch["launch_id"]))["invited"] == 2
    for invited in (4, 5):
        world.move(DAY)
        one = launch["launch_id"]

        async def reached(wanted: int = invited, launch_id: str = one) -> bool:
            return bool((await world.get("get_launch", launch_id=launch_id))["invited"] == wanted)

        await until(reached)


async def test_the_cap_holds_where_links_are_handed_out(world: World) -> None:
    await world.restart(
        CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH="2", CONNECTOR_COHORT_APPROVE_ABOVE="100", KOJI_INVITE_BY="link"
    )
    await tell(world, cohort_message(0, users(1, 2, 3)))
    await seen(world, status="running", invited=2, waiting=1)
    world.move(DAY)
    await seen(world, invited=3)
    assert started(world) == []


async def test_nobody_is_started_without_a_link(world: World) -> None:
    await world.restart(KOJI_PROJECT_ID="")
    await tell(world, cohort_message(0, users(1)))
    launch = await seen(world, status="paused", pause_reason="no_link", waiting=1)
    assert "KOJI_PROJECT_ID" in launch["message"]
    assert started(world) == []
    await world.restart(KOJI_PROJECT_ID=PROJECT)
    resumed = await world.get("resume_launch", launch_id=launch["launch_id"])
    assert (resumed["status"], resumed["invited"]) == ("running", 1)


async def test_a_cancelled_launch_is_followed_by_another_for_who_comes_later(world: World) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="0")
    await tell(world, cohort_message(0, users(1, 2)))
    first = await seen(world, status="paused", waiting=2)
    cancelled = await world.get("cancel_launch", launch_id=first["launch_id"])
    assert (cancelled["status"], cancelled["cancelled"]) == ("cancelled", 2)
    world.move(1)
    await tell(world, cohort_message(1, users(1), at=AT + 60))
    second = await seen(world, status="paused", waiting=1)
    assert second["launch_id"] != first["launch_id"]


async def test_whoever_was_invited_elsewhere_is_not_invited_again(world: World) -> None:
    await world.get("start_interview", user_id="user-001")
    await tell(world, cohort_message(0, users(1, 2)))
    launch = await seen(world, cohort_id=COHORT, invited=1)
    assert launch["skipped"] == {"already_invited": 1}
    again = await world.get("launch_cohort_interviews", members=[{"email": "person-002@example.com"}])
    assert again["skipped"] == {"already_invited": 1}


async def test_a_cohort_has_settings_of_its_own(world: World) -> None:
    toml = f"""
    [connections.shop]
    koji_api_key = "sandbox-koji-key"
    koji_project_id = "{PROJECT}"
    koji_base_url = "{world.sandbox_url}/koji"
    amplitude_cohort_webhook_token = "{OTHER_TOKEN}"
    mode = "text"
    locale = "de"
    [connections.shop.cohorts."{COHORT}"]
    mode = "voice"
    variant = "B"
    email_property = "work_email"
    name_property = "first_name"
    """
    await world.restart(toml=toml)
    rows = [user(1, work_email="ada@work.example.com", first_name="Ada")]
    await tell(world, cohort_message(0, rows), path=f"{ROUTE}/shop", token=OTHER_TOKEN)
    await seen(world, "shop", invited=1)
    await tell(world, cohort_message(1, users(2), cohort_id="another"), token=OTHER_TOKEN)
    await seen(world, "shop", cohort_id="another", invited=1)
    ada, other = started(world)
    assert (ada.mode, ada.display_name, ada.metadata["email"], ada.metadata["variant"]) == (
        "voice", "Ada", "ada@work.example.com", "B",
    )  # fmt: skip
    assert (other.mode, other.metadata["email"]) == ("text", "person-002@example.com")
    assert (await world.get("list_launches"))["items"] == []
    for path, token in ((f"{ROUTE}/shop", COHORT_TOKEN), (f"{ROUTE}/default", OTHER_TOKEN)):
        assert_problem(
            await send(world, cohort_message(2, users(3)), path=path, token=token), 401, "unauthenticated"
        )
    unknown = await send(world, cohort_message(2, users(3)), path=f"{ROUTE}/nowhere")
    assert_problem(unknown, 404, "unknown_connection")


@pytest.mark.parametrize("way", ["bearer", "key", "address"])
async def test_the_token_comes_in_each_of_three_ways(
    world: World, way: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for at, token in enumerate((COHORT_TOKEN, "wrong" + COHORT_TOKEN)):
        path = f"{ROUTE}?token={token}" if way == "address" else ROUTE
        headers = {"X-API-Key": token} if way == "key" else {}
        bearer = token if way == "bearer" else None
        answer = await send(world, cohort_message(at, users(1)), path=path, token=bearer, **headers)
        assert answer.status_code == (401 if at else 200)
        assert COHORT_TOKEN not in answer.text
    said = capfd.readouterr()
    assert COHORT_TOKEN not in said.out + said.err + caplog.text
    assert left_in_files(world, COHORT_TOKEN) == []


async def test_without_a_token_nobody_is_believed(world: World) -> None:
    for token in (None, "", "wrong", "a-token-of-the-tests"):
        answer = await send(
            world, cohort_message(0, users(1)), token=None, **({"X-API-Key": token} if token else {})
        )
        assert_problem(answer, 401, "unauthenticated")
    await world.restart(AMPLITUDE_COHORT_WEBHOOK_TOKEN="")
    for path in (ROUTE, f"{ROUTE}?token=%FF", f"{ROUTE}/default?token="):
        refused = assert_problem(
            await send(world, cohort_message(0, users(1)), path=path), 401, "unauthenticated"
        )
        assert "AMPLITUDE_COHORT_WEBHOOK_TOKEN" in refused["detail"]
    assert await launch_of(world) is None


async def test_guesses_of_the_token_are_slowed_and_the_token_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    wait = world.clock.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await wait(0.0 if seconds in (0.1, 0.2, 0.4) else seconds)

    with monkeypatch.context() as patched:
        patched.setattr(world.clock, "sleep", sleep)
        for number in range(12):
            guess = {"X-API-Key": f"guess-{number}"}
            answer = await send(world, cohort_message(0, users(1)), token=None, **guess)
            assert_problem(answer, 401, "unauthenticated")
        assert [seconds for seconds in slept if seconds in (0.1, 0.2)] == [0.1, 0.2]
        slept.clear()
        assert (await send(world, cohort_message(0, users(1)))).status_code == 200
        assert 0.4 not in slept
        monkeypatch.setattr(token_throttle, "MAX_DELAYED", 0)
        answer = await send(world, cohort_message(0, users(1)), token="wrong")
        assert_problem(answer, 429, "too_many_failures")
        assert int(answer.headers["retry-after"]) > 0


BAD = [
    (b"{'cohort_id': 'single quotes'}", 400, "malformed_json"),
    (b"", 400, "malformed_json"),
    (b"\xff\xfe", 400, "malformed_json"),
    (b"[" * 100_000, 400, "malformed_json"),
    ("a text", 422, "invalid_input"),
    (7, 422, "invalid_input"),
    (None, 422, "invalid_input"),
    ({}, 422, "invalid_input"),
    (cohort_message(0, users(1), cohort_id=None), 422, "invalid_input"),
    (cohort_message(0, users(1), cohort_id={"a": 1}), 422, "invalid_input"),
    (cohort_message(0, users(1), cohort_id="x" * 257), 422, "invalid_input"),
    (cohort_message(0, users(1), in_cohort=None), 422, "invalid_input"),
    (cohort_message(0, users(1), in_cohort="perhaps"), 422, "invalid_input"),
    (cohort_message(0, users(1), computed_time="yesterday"), 422, "invalid_input"),
    (cohort_message(0, users(1), computed_time=True), 422, "invalid_input"),
    (cohort_message(0, users(1), message_id=[1]), 422, "invalid_input"),
    (cohort_message(0, users(1), users={"user_id": "1"}), 422, "invalid_input"),
    (cohort_message(0, ["user-001"]), 422, "invalid_input"),
    (cohort_message(0, [*users(1), {"user_id": ["user-001"]}]), 422, "invalid_input"),
    (cohort_message(0, [{"user_id": "user-001", "user_properties": "country"}]), 422, "invalid_input"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD, ids=range(len(BAD)))
async def test_what_cannot_be_read_is_refused_with_the_place(
    world: World, body: Any, status: int, code: str
) -> None:
    assert_problem(await send(world, body), status, code)
    assert await world.context.ledger.cohort_inbox.next_open(["default"]) is None
    assert await launch_of(world) is None


async def test_the_row_that_is_wrong_is_named(world: World) -> None:
    told = assert_problem(
        await send(world, cohort_message(0, [*users(1), {"user_id": True}])), 422, "invalid_input"
    )
    assert told["errors"] == [{"detail": "must be a text", "pointer": "/users/1/user_id"}]


ODD = [
    cohort_message(0, users(1), in_cohort="true"),
    cohort_message(0, users(1), computed_time=AT * 1000),
    cohort_message(0, users(1), computed_time=None),
    cohort_message(0, users(1), message_id=None),
    cohort_message(0, users(1), message_id=12345),
    cohort_message(0, users(1), cohort_id=12345),
    cohort_message(0, users(1), cohort_name=None, other="field"),
    cohort_message(0, [{"user_id": "user-001", "user_properties": None}]),
    cohort_message(0, [{"user_id": 1001}]),
    cohort_message(
        0, [user(1, email="no address", name=["odd"]), {"user_id": "\ud800"}, {"user_id": "x" * 1_025}]
    ),
    cohort_message(0, [{**user(1), "device_id": "d"}], cohort_name="n\x00\ud800" * 2_000),
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
async def test_what_is_only_odd_is_taken(world: World, body: Any) -> None:
    await tell(world, body)
    assert (await seen(world, invited=1))["status"] == "running"


async def test_a_message_with_nobody_in_it_is_taken_and_does_nothing(world: World) -> None:
    await tell(world, cohort_message(0, []))
    await settled(world)
    assert started(world) == []


async def test_too_much_is_refused_before_it_is_read(world: World) -> None:
    body = json.dumps(cohort_message(0, [user(1, note="x" * (LARGEST_BODY - 1_000))])).encode()
    assert (await send(world, body)).status_code == 200
    over = json.dumps(cohort_message(1, [user(2, note="x" * LARGEST_BODY)])).encode()
    assert_problem(await send(world, over), 413, "too_large")
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        answer = await world.client.request(method, ROUTE)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_store_that_fails_is_told_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("The ledger is away.")

    monkeypatch.setattr(Database, "write", fails)
    answer = await send(world, cohort_message(0, users(1)))
    assert_problem(answer, 503, "store_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_what_was_answered_is_done_after_a_restart(world: World) -> None:
    await world.restart(workers=False)
    await tell(world, cohort_message(0, users(1, 2)), cohort_message(1, users(1), entered=False, at=AT + 60))
    await world.restart()
    await settled(world)
    launch = await seen(world, members_total=2)
    assert launch["invited"] + launch["waiting"] + launch["cancelled"] == 2


async def test_a_forgotten_person_is_never_invited_and_nothing_of_them_stays(world: World) -> None:
    who = {"user_id": "user-wilma-77", "user_properties": {"email": "wilma.forgotten@example.com"}}
    texts = ("user-wilma-77", "wilma.forgotten")
    await world.restart(workers=False)
    await tell(world, cohort_message(0, [who, *users(1)]))
    assert left_in_files(world, *texts)
    await world.get("forget_respondent", user_id="user-wilma-77")
    stored = await world.context.ledger.cohort_inbox.next_open(["default"])
    assert stored is not None
    chunk = await world.context.ledger.cohort_inbox.chunk(stored)
    assert chunk is not None
    assert [one.user_id for one in chunk[1]] == ["user-001"]
    await world.restart()
    launch = await seen(world, invited=1)
    assert whom(world) == ["person-001@example.com"]
    await tell(world, cohort_message(1, [who, *users(2)], at=AT + 60))
    launch = await seen(world, invited=2)
    assert launch["skipped"] == {"suppressed": 1}
    await tell(world, cohort_message(2, [who], entered=False, at=AT + 120))
    await settled(world)

    async def gone() -> bool:
        return left_in_files(world, *texts) == []

    await until(gone)
    assert whom(world) == ["person-001@example.com", "person-002@example.com"]


async def test_whoever_waits_for_approval_can_be_forgotten(world: World) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="0")
    await tell(world, cohort_message(0, users(1, 2)))
    held = await seen(world, status="paused", waiting=2)
    await world.get("forget_respondent", user_id="user-001", wait_seconds=20)
    await world.get("resume_launch", launch_id=held["launch_id"], wait_seconds=10)
    assert whom(world) == ["person-002@example.com"]
    assert left_in_files(world, "user-001", "person-001") == []


async def test_old_messages_are_pruned(world: World) -> None:
    await tell(world, cohort_message(0, users(1)))
    await seen(world, invited=1)
    again = await send(world, cohort_message(0, users(1)))
    assert again.json()["duplicate"] is True
    world.move(91 * DAY)

    async def pruned() -> bool:
        return not (await send(world, cohort_message(0, users(1)))).json()["duplicate"]

    await until(pruned)
    await settled(world)
    assert len(started(world)) == 1
