"""Who signed a webhook: every scheme, rotation, pins and tolerance, end to end; and to whom it belongs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import World, message, open_world, sign

pytestmark = pytest.mark.e2e

SCHEMES = ("hex", "sha256", "base64", "timestamped", "standard-webhooks")
WHSEC = "whsec_" + base64.b64encode(b"thirty-two bytes of a secret key").decode()


async def check(world: World, name: str, connection: str = "default") -> dict[str, Any]:
    found = await world.get("check_connection", connection=connection)
    return next(one for one in found["checks"] if one["name"] == name)


@pytest.mark.parametrize("secret", ["sandbox-webhook-secret", WHSEC])
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_every_scheme_is_recognised_and_shown(tmp_path: Path, scheme: str, secret: str) -> None:
    async with open_world(tmp_path, KOJI_WEBHOOK_SECRET=f"an-older-one,{secret}") as world:
        answer = await world.send(message("int-1"), scheme=scheme, header="X-Some-Header", secret=secret)
        assert answer.json() == {"status": "accepted", "duplicate": False, "interview_id": "int-1"}
        header = "webhook-signature" if scheme == "standard-webhooks" else "x-some-header"
        shown = {"sha256": "hex"}.get(scheme, scheme)
        (received,) = (await world.ended("int-1"))["received"]
        assert (received["signature_header"], received["signature_scheme"]) == (header, shown)
        found = await check(world, "koji_webhook")
        assert found["status"] == "ok"
        assert header in found["message"]
        assert shown in found["message"]


async def test_both_secrets_are_good_while_one_replaces_the_other(tmp_path: Path) -> None:
    async with open_world(tmp_path, KOJI_WEBHOOK_SECRET="new-secret,old-secret") as world:
        for number, secret in enumerate(("old-secret", "new-secret")):
            assert (await world.send(message(f"int-{number}"), secret=secret)).status_code == 200
        assert (await world.send(message("int-9"), secret="neither")).status_code == 401
        await world.restart(KOJI_WEBHOOK_SECRET="new-secret")
        assert (await world.send(message("int-9"), secret="old-secret")).status_code == 401


async def test_a_whsec_secret_also_counts_as_its_literal_bytes(tmp_path: Path) -> None:
    async with open_world(tmp_path, KOJI_WEBHOOK_SECRET=WHSEC) as world:
        body = json.dumps(message("int-1")).encode()
        mac = hmac.new(WHSEC.encode(), body, hashlib.sha256).hexdigest()
        answer = await world.client.post("/webhooks/koji", content=body, headers={"X-Sig": mac})
        assert answer.status_code == 200


@pytest.mark.parametrize("scheme", ["timestamped", "standard-webhooks"])
@pytest.mark.parametrize(("off", "status"), [(-290, 200), (290, 200), (-310, 401), (310, 401)])
async def test_a_timestamp_further_off_than_the_tolerance_is_401(
    tmp_path: Path, scheme: str, off: int, status: int
) -> None:
    async with open_world(tmp_path) as world:
        at = world.clock.seconds() + off
        assert (await world.send(message("int-1"), scheme=scheme, at=at)).status_code == status
        if status == 401:
            refused = (await world.get("check_connection"))["refused_webhooks"]
            assert "KOJI_TIMESTAMP_TOLERANCE_SECONDS" in refused[0]["setting"]


async def test_a_tolerance_of_zero_checks_no_time(tmp_path: Path) -> None:
    async with open_world(tmp_path, KOJI_TIMESTAMP_TOLERANCE_SECONDS="0") as world:
        assert (await world.send(message("int-1"), scheme="timestamped", at=1.0)).status_code == 200


async def test_a_pinned_header_is_the_only_one_that_counts(tmp_path: Path) -> None:
    async with open_world(tmp_path, KOJI_SIGNATURE_HEADER="X-Hub-Signature") as world:
        assert (await world.send(message("int-1"))).status_code == 401
        refused = (await world.get("check_connection"))["refused_webhooks"]
        assert refused[0]["tried"][0]["why"] == "this header was not sent"
        assert (await world.send(message("int-1"), header="x-hub-signature")).status_code == 200


@pytest.mark.parametrize("pinned", ["hex", "base64", "timestamped", "standard-webhooks"])
async def test_a_pinned_scheme_is_the_only_one_that_counts(tmp_path: Path, pinned: str) -> None:
    async with open_world(tmp_path, KOJI_SIGNATURE_SCHEME=pinned) as world:
        taken = {
            scheme
            for scheme in SCHEMES
            if (await world.send(message("int-1"), scheme=scheme)).status_code == 200
        }
        assert taken == ({"hex", "sha256"} if pinned == "hex" else {pinned})


async def test_a_signature_covers_every_byte_of_the_body(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        body = json.dumps(message("int-1")).encode()
        for changed in (body + b"\n", body.replace(b"4.2", b"4.9"), b" " + body):
            answer = await world.client.post("/webhooks/koji", content=changed, headers=sign(body))
            assert answer.status_code == 401


TWO = """
[connections.second]
koji_webhook_secret = "second-secret"
[connections.third]
koji_webhook_secret = "third-secret"
"""


async def test_an_event_belongs_to_the_connection_whose_secret_matched(tmp_path: Path) -> None:
    async with open_world(tmp_path, toml=TWO) as world:
        owners = {"sandbox-webhook-secret": "default", "second-secret": "second", "third-secret": "third"}
        for secret, name in owners.items():
            await world.send(message(f"int-{name}"), secret=secret)
        for name in owners.values():
            await world.seen(f"int-{name}", connection=name)
            items = (await world.get("list_syncs", connection=name))["items"]
            assert [one["interview_id"] for one in items] == [f"int-{name}"]


async def test_the_address_of_a_connection_knows_only_its_own_secret(tmp_path: Path) -> None:
    async with open_world(tmp_path, toml=TWO) as world:
        own = await world.send(message("int-1"), path="/webhooks/koji/second", secret="second-secret")
        other = await world.send(message("int-2"), path="/webhooks/koji/second")
        assert (own.status_code, other.status_code) == (200, 401)
        await world.seen("int-1", connection="second")
        seconds = await world.get("check_connection", connection="second")
        firsts = await world.get("check_connection", connection="default")
        assert (len(seconds["refused_webhooks"]), len(firsts["refused_webhooks"])) == (1, 0)


SHARED = """
[connections.second]
koji_webhook_secret = "sandbox-webhook-secret"
koji_project_id = "project-2"
[connections.third]
koji_webhook_secret = "sandbox-webhook-secret"
koji_project_id = "project-3"
[connections.fourth]
koji_webhook_secret = "fourth-secret"
koji_project_id = "project-4"
"""


@pytest.mark.parametrize(
    ("path", "named", "owner"),
    [
        ("/webhooks/koji", {"project_id": "project-2"}, "second"),
        ("/webhooks/koji", {"projectId": "project-3"}, "third"),
        ("/webhooks/koji", {"data": {"study_id": "project-2"}}, "second"),
        ("/webhooks/koji/third", {"studyId": "project-2"}, "second"),
        ("/webhooks/koji/third", {}, "third"),
        ("/webhooks/koji/third", {"project_id": "nobody's"}, "third"),
        ("/webhooks/koji", {}, "default"),
        ("/webhooks/koji", {"project_id": "nobody's"}, "default"),
        ("/webhooks/koji", {"project_id": "project-4"}, "default"),
    ],
)
async def test_a_shared_secret_is_told_apart_by_project_then_address_then_default(
    tmp_path: Path, path: str, named: dict[str, Any], owner: str
) -> None:
    async with open_world(tmp_path, toml=SHARED) as world:
        assert (await world.send({**message("int-1"), **named}, path=path)).json()["status"] == "accepted"
        await world.seen("int-1", connection=owner)
        for name in {"default", "second", "third", "fourth"} - {owner}:
            assert (await world.get("list_syncs", connection=name))["items"] == []


async def test_another_project_is_accepted_and_skipped_only_where_a_project_is_set(tmp_path: Path) -> None:
    toml = '[connections.second]\namplitude_api_key = "sandbox-amplitude-key"\nkoji_webhook_secret = "second-secret"\nkoji_project_id = "project-2"\n'
    async with open_world(tmp_path, toml=toml) as world:
        body = message("int-1", project_id="project-9", anonymous=True)
        assert (await world.send(body, secret="second-secret")).json()["status"] == "accepted"
        skipped = await world.ended("int-1", connection="second")
        assert (skipped["status"], skipped["reason"]) == ("skipped", "other_project")
        await world.send(message("int-2", project_id="project-9"))
        assert (await world.ended("int-2"))["status"] == "synced"
        await world.send(message("int-3", project_id="project-2"), secret="second-secret")
        assert (await world.ended("int-3", connection="second"))["status"] == "synced"
        assert {one["event_properties"]["interview_id"]: one["event_properties"]["koji_project_id"]
                for one in world.stored("koji.interview_completed")} == {"int-2": "project-9", "int-3": "project-2"}  # fmt: skip
