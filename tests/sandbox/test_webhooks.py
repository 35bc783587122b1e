from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from connector.sandbox.koji.webhooks import signature_headers
from connector.sandbox.options import WebhookEndpoint
from tests.fixtures import load

from .conftest import Box, Opener

pytestmark = pytest.mark.e2e

URL = "https://receiver.example.com/webhooks/koji"


class Receiver(httpx.AsyncBaseTransport):
    """Take deliveries; `answers` are statuses (None: the connection breaks), then 200 for ever."""

    def __init__(self, *answers: int | None) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status = self.answers.pop(0) if self.answers else 200
        if status is None:
            raise httpx.ConnectError("scripted")
        return httpx.Response(status)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests if request.content]


async def settle(box: Box) -> None:
    """Do what is due and wait until every delivery is through."""
    box.sandbox.koji.scheduler.run_due()
    async with asyncio.timeout(5):
        await box.sandbox.koji.sender.drained()


def endpoint(**fields: Any) -> WebhookEndpoint:
    return WebhookEndpoint(url=URL, backoff_seconds=0.001, **fields)


async def test_completed_goes_out_at_once_and_analysis_ready_after_the_delay(opened: Opener) -> None:
    receiver = Receiver()
    async with opened(receiver, webhook=endpoint(), analysis_seconds=30.0) as box:
        person = {"external_id": "inv_1", "metadata": {"email": "person-001@example.com"}}
        await box.complete(await box.start(respondent=person))
        await settle(box)
        assert [body["event"] for body in receiver.bodies] == ["interview.completed"]
        box.clock.move(30)
        await settle(box)
        completed, ready = receiver.bodies
        assert "themes" not in completed
        assert ready["event"] == "interview.analysis_ready"
        assert ready["respondent_email"] == "person-001@example.com"
        assert ready["external_id"] == "inv_1"
        assert load("invented/koji_completed")["body"].keys() == completed.keys()
        assert load("invented/koji_analysis_ready")["body"].keys() <= ready.keys()


async def test_a_poor_interview_also_fails_the_quality_gate(opened: Opener) -> None:
    receiver = Receiver()
    async with opened(receiver, webhook=endpoint(events=frozenset({"interview.failed_quality_gate"}))) as box:
        await box.control("POST", "/koji/interviews", {"quality_score": 2.9})
        await box.control("POST", "/koji/interviews", {"quality_score": 3.0})
        await settle(box)
        assert [body["quality_score"] for body in receiver.bodies] == [2.9]


async def test_a_failed_analysis_is_not_announced(opened: Opener) -> None:
    receiver = Receiver()
    async with opened(receiver, webhook=endpoint()) as box:
        await box.control("POST", "/koji/interviews", {"quality_score": None})
        await settle(box)
        assert [body["event"] for body in receiver.bodies] == ["interview.completed"]


async def test_an_anonymous_interview_names_no_respondent(opened: Opener) -> None:
    receiver = Receiver()
    async with opened(receiver, webhook=endpoint()) as box:
        person = {"email": "person-001@example.com", "external_id": "inv_1", "anonymous": True}
        await box.control("POST", "/koji/interviews", person)
        await settle(box)
        ready = receiver.bodies[1]
        assert ready.keys() <= {*load("invented/koji_analysis_ready_anonymous")["body"], "structured_answers"}
        assert (ready["respondent_email"], ready["anonymous"]) == (None, True)
        assert "inv_1" not in str(receiver.bodies)


async def test_envelopes_and_payloads(opened: Opener) -> None:
    receiver = Receiver()
    nested = endpoint(envelope="data", payload="thin", event_header="X-Koji-Event")
    async with opened(receiver, webhook=nested) as box:
        made = await box.control("POST", "/koji/interviews", {})
        await settle(box)
        assert receiver.bodies[1].keys() == load("invented/koji_analysis_ready_nested")["body"].keys()
        assert receiver.bodies[1]["type"] == "interview.analysis_ready"
        assert receiver.bodies[1]["data"] == {"interview_id": made["interview_id"]}
        assert receiver.requests[1].headers["X-Koji-Event"] == "interview.analysis_ready"


@pytest.mark.parametrize("refusal", [500, 404, None])
async def test_three_more_attempts_with_growing_pauses(opened: Opener, refusal: int | None) -> None:
    receiver = Receiver(*[refusal] * 9)
    only_ready = endpoint(events=frozenset({"interview.analysis_ready"}))
    async with opened(receiver, webhook=only_ready) as box:
        await box.control("POST", "/koji/interviews", {})
        await settle(box)
        log = await box.control("GET", "/koji/deliveries")
        assert [(row["attempt"], row["status"]) for row in log["deliveries"]] == [
            (number, refusal) for number in (1, 2, 3, 4)
        ]
        assert len({row["delivery_id"] for row in log["deliveries"]}) == 1
        assert len({request.content for request in receiver.requests}) == 1


async def test_a_2xx_ends_the_retries(opened: Opener) -> None:
    receiver = Receiver(503, None, 204)
    async with opened(receiver, webhook=endpoint(events=frozenset({"interview.completed"}))) as box:
        await box.control("POST", "/koji/interviews", {"state": "processing"})
        await settle(box)
        assert len(receiver.requests) == 3


async def test_the_pauses_double(opened: Opener) -> None:
    slow = WebhookEndpoint(url=URL, backoff_seconds=0.02, events=frozenset({"interview.completed"}))
    receiver = Receiver(500, 500, 500, 500)
    async with opened(receiver, webhook=slow) as box:
        began = asyncio.get_running_loop().time()
        await box.control("POST", "/koji/interviews", {"state": "processing"})
        await settle(box)
        assert asyncio.get_running_loop().time() - began >= 0.02 * (1 + 2 + 4)


async def test_duplicates_on_demand(opened: Opener) -> None:
    receiver = Receiver()
    async with opened(receiver, webhook=endpoint(scheme="standard-webhooks")) as box:
        made = await box.control("POST", "/koji/interviews", {})
        await settle(box)
        path = f"/koji/interviews/{made['interview_id']}/deliver"
        await box.control("POST", path, {"times": 3})
        await settle(box)
        # the analysis may still be announced in between; the ones asked for share an id
        named = Counter(request.headers["webhook-id"] for request in receiver.requests)
        again = [sent for sent in receiver.requests if named[sent.headers["webhook-id"]] > 1]
        assert len(again) == 3
        assert len({request.content for request in again}) == 1
        assert len({request.headers["webhook-id"] for request in again}) == 1


async def test_saving_an_endpoint_sends_an_empty_request_and_needs_200(opened: Opener) -> None:
    receiver = Receiver(401, 200)
    async with opened(receiver) as box:
        refused = await box.client.put("/control/koji/webhook", json={"url": URL})
        assert refused.status_code == 422
        assert (await box.control("GET", "/koji/webhook")) == {"url": None}
        saved = await box.control("PUT", "/koji/webhook", {"url": URL, "scheme": "base64"})
        assert saved["scheme"] == "base64"
        assert "secret" not in saved
        assert [request.content for request in receiver.requests] == [b"", b""]
        assert "X-Koji-Signature" not in receiver.requests[1].headers
        log = (await box.control("GET", "/koji/deliveries"))["deliveries"]
        assert [(row["event"], row["status"]) for row in log] == [
            ("verification", 401),
            ("verification", 200),
        ]
        await box.control("DELETE", "/koji/webhook")
        assert box.sandbox.koji.sender.endpoint is None


async def test_without_an_endpoint_nothing_is_queued(box: Box) -> None:
    made = await box.control("POST", "/koji/interviews", {})
    answer = await box.client.post(f"/control/koji/interviews/{made['interview_id']}/deliver", json={})
    assert answer.status_code == 422
    assert box.sandbox.koji.sender.waiting == 0


BODY, STAMP = b'{"interview_id":"int_1"}', 1_795_000_000.9


def signed(scheme: Any, secret: str = "sandbox-webhook-secret") -> dict[str, str]:
    made = WebhookEndpoint(url=URL, scheme=scheme, secret=secret)
    return dict(signature_headers(made, BODY, delivery_id="msg_1", now=STAMP))


def digest(message: bytes, key: bytes = b"sandbox-webhook-secret") -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def test_every_scheme_signs_what_it_says() -> None:
    assert signed("hex") == {"X-Koji-Signature": digest(BODY).hex()}
    assert signed("sha256") == {"X-Koji-Signature": f"sha256={digest(BODY).hex()}"}
    assert signed("base64") == {"X-Koji-Signature": base64.b64encode(digest(BODY)).decode()}
    timed = digest(b"1795000000." + BODY).hex()
    assert signed("timestamped") == {"X-Koji-Signature": f"t=1795000000,v1={timed}"}
    standard = base64.b64encode(digest(b"msg_1.1795000000." + BODY)).decode()
    assert signed("standard-webhooks") == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1795000000",
        "webhook-signature": f"v1,{standard}",
    }


def test_a_standard_webhooks_secret_with_prefix_is_base64() -> None:
    key = b"0123456789abcdef01234567"
    made = signed("standard-webhooks", f"whsec_{base64.b64encode(key).decode()}")
    expected = base64.b64encode(digest(b"msg_1.1795000000." + BODY, key)).decode()
    assert made["webhook-signature"] == f"v1,{expected}"
