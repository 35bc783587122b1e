from __future__ import annotations

import csv
import gzip
import io
from typing import Any

import httpx
import pytest

from tests.fixtures import load

from .conftest import REST, Box, Opener, event

pytestmark = pytest.mark.e2e

COHORT = {
    "id": "id_1",
    "name": "Drop-off",
    "members": [
        {
            "user_id": "person-001@example.com",
            "properties": {"email": "person-001@example.com", "note": 'a "b",\nc'},
        },
        {"user_id": None, "properties": {"email": None}},
    ],
}


async def get(box: Box, path: str, **more: Any) -> httpx.Response:
    return await box.client.get(f"/amplitude{path}", auth=REST, **more)


async def test_user_search_finds_by_prefix_device_and_amplitude_id(box: Box) -> None:
    await box.send(event(device_id="device-1"), event(user_id="person-0010@example.com"))
    answer = (await get(box, "/api/2/usersearch", params={"user": "person-001"})).json()
    assert answer["type"] == load("amplitude/usersearch_match")["body"]["type"]
    assert {row["user_id"] for row in answer["matches"]} == {
        "person-001@example.com",
        "person-0010@example.com",
    }
    by_device = (await get(box, "/api/2/usersearch", params={"user": "device-1"})).json()
    by_number = (
        await get(box, "/api/2/usersearch", params={"user": by_device["matches"][0]["amplitude_id"]})
    ).json()
    assert by_device == by_number
    nothing = await get(box, "/api/2/usersearch", params={"user": "unknown"})
    assert (nothing.status_code, nothing.json()) == (200, load("amplitude/usersearch_nomatch")["body"])


@pytest.mark.parametrize(
    "auth", [None, ("sandbox-amplitude-key", "wrong"), ("wrong", "sandbox-amplitude-secret")]
)
@pytest.mark.parametrize(
    "path", ["/api/2/usersearch?user=a", "/api/3/cohorts", "/api/5/cohorts/request/id_1"]
)
async def test_reads_need_both_keys(box: Box, path: str, auth: tuple[str, str] | None) -> None:
    answer = await box.client.get(f"/amplitude{path}", auth=auth)
    assert answer.status_code == 401
    broken = await box.client.get(f"/amplitude{path}", headers={b"Authorization": "Basic ä:ö".encode()})
    assert broken.status_code == 401


async def test_searches_have_a_limit_per_hour(opened: Opener) -> None:
    async with opened(user_searches_per_hour=2) as box:
        statuses = [(await get(box, "/api/2/usersearch?user=a")).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        box.clock.move(3600)
        assert (await get(box, "/api/2/usersearch?user=a")).status_code == 200


async def test_only_published_cohorts_are_listed(box: Box) -> None:
    await box.control("POST", "/amplitude/cohorts", COHORT)
    await box.control("POST", "/amplitude/cohorts", {"id": "id_2", "name": "Draft", "published": False})
    await box.control("POST", "/amplitude/cohorts", {"id": "id_3", "name": "Huge", "size": 3_000_000})
    rows = (await get(box, "/api/3/cohorts", params={"includeSyncInfo": "true"})).json()["cohorts"]
    assert [(row["id"], row["size"]) for row in rows] == [("id_1", 2), ("id_3", 3_000_000)]
    assert rows[0].keys() <= load("amplitude/cohorts")["body"]["cohorts"][0].keys()
    assert "syncMetadata" in rows[0]
    assert "syncMetadata" not in (await get(box, "/api/3/cohorts")).json()["cohorts"][0]


async def download(box: Box, query: str = "") -> httpx.Response:
    asked = await get(box, f"/api/5/cohorts/request/id_1{query}")
    assert asked.status_code == 202
    assert asked.json().keys() == load("amplitude/cohort_requested")["body"].keys()
    request_id = asked.json()["request_id"]
    waiting = await get(box, f"/api/5/cohorts/request-status/{request_id}")
    assert (waiting.status_code, waiting.json()["async_status"]) == (202, "JOB INPROGRESS")
    assert (await get(box, f"/api/5/cohorts/request/{request_id}/file")).status_code == 404
    box.clock.move(1)
    ready = await get(box, f"/api/5/cohorts/request-status/{request_id}")
    assert (ready.status_code, ready.json()["async_status"]) == (200, "JOB COMPLETED")
    return await get(box, f"/api/5/cohorts/request/{request_id}/file")


async def test_a_download_takes_three_steps_and_is_quoted_csv(box: Box) -> None:
    await box.control("POST", "/amplitude/cohorts", COHORT)
    file = await download(box)
    assert file.headers["content-encoding"] == "gzip"
    assert file.text.splitlines()[0] == '"amplitude_id","user_id"'
    rows = list(csv.DictReader(io.StringIO((await download(box, "?props=1")).text)))
    assert rows[0]["note"] == 'a "b",\nc'
    assert (rows[1]["user_id"], rows[1]["email"]) == ("", "")
    chosen = await download(box, "?props=1&propKeys=email&propKeys=plan")
    assert chosen.text.splitlines()[0] == '"amplitude_id","user_id","email","plan"'


async def test_a_large_download_is_redirected_to_a_signed_address(opened: Opener) -> None:
    async with opened(cohort_redirect=True) as box:
        await box.control("POST", "/amplitude/cohorts", COHORT)
        moved = await download(box)
        assert moved.status_code == 302
        assert (await box.client.get(moved.headers["location"], auth=REST)).status_code == 400
        bare = await box.client.get(moved.headers["location"])
        assert bare.status_code == 200
        assert bare.text.startswith('"amplitude_id"')
        box.clock.move(60)
        assert (await box.client.get(moved.headers["location"])).status_code == 403


async def test_the_file_is_really_compressed(box: Box) -> None:
    await box.control("POST", "/amplitude/cohorts", COHORT)
    cohorts = box.sandbox.amplitude.cohorts
    job = cohorts.request("id_1", props=False, prop_keys=())
    assert gzip.decompress(cohorts.file(job)).startswith(b'"amplitude_id"')


async def test_a_download_link_ends_after_seven_days(box: Box) -> None:
    await box.control("POST", "/amplitude/cohorts", COHORT)
    request_id = (await get(box, "/api/5/cohorts/request/id_1")).json()["request_id"]
    box.clock.move(7 * 24 * 3600)
    assert (await get(box, f"/api/5/cohorts/request/{request_id}/file")).status_code == 404


async def test_download_quotas(opened: Opener) -> None:
    async with opened(cohort_downloads_per_ten_minutes=2, cohort_downloads_per_month=3) as box:
        await box.control("POST", "/amplitude/cohorts", COHORT)

        async def ask() -> int:
            return (await get(box, "/api/5/cohorts/request/id_1")).status_code

        assert [await ask() for _ in range(3)] == [202, 202, 429]
        box.clock.move(600)
        assert [await ask() for _ in range(2)] == [202, 429]


async def test_what_cannot_be_downloaded(box: Box) -> None:
    assert (await get(box, "/api/5/cohorts/request/none")).status_code == 404
    assert (await get(box, "/api/5/cohorts/request-status/none")).status_code == 404
    await box.control("POST", "/amplitude/cohorts", {"id": "big", "name": "Big", "size": 2_000_001})
    assert (await get(box, "/api/5/cohorts/request/big")).status_code == 400
