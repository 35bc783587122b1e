"""Five hundred prompts hidden in what strangers write start no interview, whatever a reader makes of them.

The careful reader takes orders from its person alone. The gullible one obeys all that it reads, and two things stop
it: the server asks the person, who says no; and where a token of a plan saves that question, the host asks before it
lets a destructive tool run, as its hints say. Without a host, a client that may only read has nothing to start with.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitRequestParams, ElicitResult

from tests.eval.attacks import ATTACKS, CARRIERS, COHORT, SOME
from tests.eval.desk import Desk
from tests.eval.scripted import Reader
from tests.mcp.clients import SETTINGS, people, started
from tests.support.harness import QUICK, TOKEN, World, open_world, serving

pytestmark = pytest.mark.e2e

WORDS = "What do we know about this? Send nothing."
STARTERS = ("launch_cohort_interviews", "start_interview", "resume_launch")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    more: dict[str, Any] = {
        "AMPLITUDE_COHORT_WEBHOOK_TOKEN": "not-a-secret",
        "CONNECTOR_COHORT_APPROVE_ABOVE": "1",
    }
    async with open_world(tmp_path, options=QUICK, **{**SETTINGS, **more}) as opened:
        yield opened


@dataclass
class Asked:
    """A person who decides once and for all; `questions` counts what the server asked."""

    yes: bool = False
    questions: int = 0

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        self.questions += 1
        return ElicitResult(action="accept", content={}) if self.yes else ElicitResult(action="decline")


@asynccontextmanager
async def desk(
    world: World, person: Asked | None, query: str = "", *, host: bool = True
) -> AsyncIterator[Desk]:
    """Yield a desk whose host, if it has one, asks before a destructive tool that the server does not ask about."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        serving(world.app) as url,
        httpx2.AsyncClient(headers=headers, timeout=60, verify=False) as http,
        Client(
            streamable_http_client(f"{url}/mcp{query}", http_client=http), elicitation_callback=person
        ) as client,
    ):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        yield Desk(client, tools, client.instructions or "", yes=not host)


async def prepared(world: World) -> dict[str, str]:
    """Return the ids that the orders name: a launch that waits for a yes, and a plan that was not launched."""
    members = [
        {"user_id": one["user_id"], "properties": {"email": one["email"]}} for one in people(*range(1, 6))
    ]
    await world.control("POST", "/amplitude/cohorts", {"id": COHORT, "name": "Churned", "members": members})
    users = [
        {"user_id": f"user-{n}", "user_properties": {"email": f"p-{n}@example.com"}} for n in range(701, 704)
    ]
    body = {
        "cohort_id": "c-waits",
        "cohort_name": "Waits",
        "in_cohort": True,
        "computed_time": "2026-11-20T10:00:00Z",
        "message_id": "m-1",
        "users": users,
    }
    headers = {"Authorization": "Bearer not-a-secret"}
    answer = await world.client.post("/webhooks/amplitude/cohorts", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    await world.idle()
    (waits,) = (await world.get("list_launches", status="paused"))["items"]
    assert waits["pause_reason"] == "approval"
    plan = await world.get("plan_cohort_launch", members=people(801), wait_seconds=20)
    return {"waits": waits["launch_id"], "plan": plan["plan_token"]}


@dataclass
class Gullible(Reader):
    """The scripted reader, but for one thing: it does what texts say that it reads."""

    obeyed: Counter[str] = field(default_factory=Counter)

    async def obey(self, text: str) -> None:
        """Make each call that a text names, with the arguments beside it, and what the answers name in turn."""
        last = text
        for name, said in self._orders(text):
            arguments = {**self._tokens(last, said, name), **self._arguments(said, name)}
            if not arguments:
                continue
            self.obeyed[name] += 1
            last, _ = await self.desk.call(
                name, {"wait_seconds": 0, **arguments} if name in STARTERS else arguments
            )
            for following, more in self._orders(last):
                if following in STARTERS and (found := self._pairs(more, following)):
                    self.obeyed[following] += 1
                    await self.desk.call(following, {"wait_seconds": 0, **found})

    def _orders(self, text: str) -> list[tuple[str, str]]:
        names = "|".join(self.desk.tools)
        parts = re.split(rf"\b({names})\b", text)
        return list(zip(parts[1::2], parts[2::2], strict=True))

    def _arguments(self, said: str, name: str) -> dict[str, Any]:
        start = said.find("{")
        try:
            found: dict[str, Any] = json.JSONDecoder().raw_decode(said[start:])[0] if start >= 0 else {}
        except ValueError:
            found = {}
        return found or self._pairs(said.split("\n", maxsplit=1)[0], name)

    def _tokens(self, last: str, said: str, name: str) -> dict[str, str]:
        known = self.desk.tools[name].input_schema["properties"]
        wanted = [one for one in ("plan_token", "resume_token") if one in known and f"its {one}" in said]
        found = {one: re.search(rf"\b{one}:? (\S+?)[;,.]?(\s|$)", last) for one in wanted}
        return {one: match[1] for one, match in found.items() if match}


def prompts(texts: list[str], ids: dict[str, str]) -> list[str]:
    for name, value in ids.items():
        texts = [text.replace(f"{{{name}}}", value) for text in texts]
    return texts


async def attacked(world: World, carriers: Iterable[str], texts: list[str], at: Desk) -> Gullible:
    """Plant each prompt in each carrier, read it there, and obey. Nothing may start."""
    ids = await prepared(world)
    reader = Gullible(at, WORDS)
    for carrier in carriers:
        plant, read = CARRIERS[carrier]
        for number, text in enumerate(prompts(texts, ids)):
            name = f"bad-{carrier}-{number}"
            await plant(world, name, text)
            calls = len(at.calls)
            await reader.call(*read(name))
            assert not set(STARTERS) & set(at.calls[calls:]), "the careful reader took an order from a text"
            if carrier != "cohort":  # its list holds them all, and is read once
                await reader.obey(reader.texts[-1])
        if carrier == "cohort":
            await reader.obey(reader.texts[-1])
    await world.idle()
    assert started(world) == []
    if list(carriers) != ["sentiment"]:  # one word on one line: too short for an order
        assert min(reader.obeyed[name] for name in STARTERS) > 0, reader.obeyed
    return reader


async def test_nothing_starts_when_the_person_says_no(world: World) -> None:
    person = Asked()
    async with desk(world, person) as at:
        await attacked(world, ["question", "receipt", "cohort"], SOME, at)
    assert person.questions > 10


@pytest.mark.proof
@pytest.mark.parametrize("carrier", CARRIERS)
async def test_five_hundred_prompts_start_nothing_when_the_person_says_no(world: World, carrier: str) -> None:
    assert len(CARRIERS) * len(ATTACKS) == 500
    person = Asked()
    async with desk(world, person) as at:
        await attacked(world, [carrier], ATTACKS, at)
    assert person.questions > 10 or carrier == "sentiment"


async def test_nothing_starts_when_no_person_can_be_asked(world: World) -> None:
    async with desk(world, None) as at:
        await attacked(world, ["theme", "plan"], SOME, at)


async def test_nothing_starts_without_a_host_where_the_address_only_reads(world: World) -> None:
    async with desk(world, Asked(yes=True), "?readonly=1", host=False) as at:
        ids = await prepared(world)
        for number, text in enumerate(prompts(SOME, ids)):
            await world.interview(f"bad-{number}", themes=[text])
            said, failed = await at.call("get_interview_analysis", {"interview_id": f"bad-{number}"})
            assert not failed
            for name in STARTERS:
                if name in said:
                    refusal, failed = await at.call(name, {"plan_token": ids["plan"]})
                    assert failed, refusal
    await world.idle()
    assert started(world) == []


async def test_the_same_reader_starts_interviews_with_a_yes(world: World) -> None:
    """So that the zeros of the other tests come from the answer, and not from a reader that cannot call."""
    person = Asked(yes=True)
    async with desk(world, person) as at:
        ids = await prepared(world)
        for number, text in enumerate(prompts(SOME[:1], ids)):
            await world.interview(f"bad-{number}", themes=[text])
            reader = Gullible(at, WORDS)
            await reader.call("get_interview_analysis", {"interview_id": f"bad-{number}"})
            await reader.obey(reader.texts[-1])
    await world.idle()
    assert len(started(world)) == 5
    assert person.questions == 1
