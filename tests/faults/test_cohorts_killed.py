"""Servers are killed while cohort messages of many people are taken apart: everybody is invited, once.

Two processes work one ledger; what had no answer is sent again with the same message id, as Amplitude does.
"""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, Select, func, select

from connector.ledger.db.dialect import writer_engine
from connector.ledger.db.schema.launches import cohort_message, cohort_piece, invitation, launch
from connector.sandbox import create_sandbox
from tests.support.fakes import Counted
from tests.support.harness import QUICK, serving, until
from tests.support.processes import Process

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LEASE = 500
TOKEN = "a-cohort-token-of-the-tests"  # not-a-secret
PEOPLE = 6_000  # of one message: three chunks
NEW = 4_000
MESSAGES = 3  # a round
SETTINGS = {
    "KOJI_PROJECT_ID": QUICK.koji_project_id,
    "AMPLITUDE_COHORT_WEBHOOK_TOKEN": TOKEN,
    "CONNECTOR_COHORT_APPROVE_ABOVE": "0",  # all wait for approval, and nobody is started
    "CONNECTOR_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
}


class Ground:
    """Two servers on one ledger, what Amplitude tells them, and what the ledger holds then."""

    def __init__(
        self, folder: Path, url: str, database_url: str, client: httpx.AsyncClient, seed: int
    ) -> None:
        self.chance = random.Random(seed)
        self.people = 0
        self.unanswered: list[dict[str, Any]] = []
        self._folder = folder
        self._url = url
        self._settings = {**SETTINGS, "DATABASE_URL": database_url}
        self._client = client
        self._engine: Engine = writer_engine(database_url)
        self._sent = 0
        self.servers: list[Process] = []

    async def start(self) -> None:
        """Start whichever of the two servers does not run."""
        while len(self.servers) < 2:
            self.servers.append(Process(self._folder, self._url, lease_ms=LEASE, more=self._settings))
        await asyncio.gather(*(server.ready(self._client) for server in self.servers))

    def kill(self, number: int) -> None:
        """Kill one of the servers, or both."""
        for server in self.chance.sample(self.servers, number):
            self.servers.remove(server)
            server.kill()

    def close(self) -> None:
        self.kill(len(self.servers))
        self._engine.dispose()

    def messages(self) -> list[dict[str, Any]]:
        """Return what had no answer, and messages of new people among some who were told of before."""
        found, self.unanswered = self.unanswered, []
        for _ in range(MESSAGES):
            before = self.chance.sample(range(self.people), min(PEOPLE - NEW, self.people))
            numbers = [*before, *range(self.people, self.people + NEW)]
            self.chance.shuffle(numbers)
            self.people += NEW
            self._sent += 1
            found.append(
                {
                    "cohort_name": "Onboarding drop-off",
                    "cohort_id": "7khm89cz",
                    "in_cohort": True,
                    "computed_time": str(1_790_000_000 + self._sent),
                    "message_id": f"9baaa88f-9d46-4ee5-a946-be0c6aea0046::enter::{self._sent}",
                    "users": [
                        {
                            "user_id": f"user-{n:06}",
                            "user_properties": {"email": f"person-{n:06}@example.com"},
                        }
                        for n in numbers
                    ],
                }
            )
        return found

    async def tell(self, messages: Sequence[dict[str, Any]]) -> None:
        """Send messages to one server after the other; keep what has no answer."""
        urls = [server.url for server in self.servers]
        await asyncio.gather(
            *(self._send(urls[place % len(urls)], one) for place, one in enumerate(messages))
        )

    async def tell_the_rest(self) -> None:
        """Send what had no answer until it has one."""
        while unanswered := self.unanswered:
            self.unanswered = []
            await self.tell(unanswered)

    async def _send(self, url: str, message: dict[str, Any]) -> None:
        try:
            answer = await self._client.post(f"{url}/webhooks/amplitude/cohorts", json=message)
        except httpx.TransportError:
            self.unanswered.append(message)
            return
        if answer.status_code == 503:  # the ledger did not take it in time: Amplitude sends it again
            self.unanswered.append(message)
            return
        assert answer.status_code == 200, answer.text

    def read(self, query: Select[Any]) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(query).all())

    def begun(self) -> int:
        """Return how many messages some of whose people are decided over, and not yet all of them wait."""
        stages = cohort_message.c.stage.in_(("deciding", "activating"))
        return len(self.read(select(cohort_message.c.id).where(stages)))

    def invitations(self) -> int:
        ((found,),) = self.read(select(func.count()).select_from(invitation))
        return int(found)

    async def being_taken_apart(self, before: int) -> None:
        """Wait until a chunk more of a message's people is decided over than before."""

        async def more() -> bool:
            return await asyncio.to_thread(self.invitations) > before

        await until(more)

    async def all_taken_apart(self) -> None:
        """Wait until no message is open. Raises AssertionError after a minute in which nothing was planned."""
        open_ = select(cohort_message.c.id, cohort_message.c.stage).where(cohort_message.c.stage != "done")
        last, seen = time.monotonic(), (0, [()])
        while (now := await asyncio.to_thread(lambda: (self.invitations(), self.read(open_))))[1]:
            if now != seen:
                last, seen = time.monotonic(), now
            assert time.monotonic() < last + 60, f"{now[1]} do not go on"
            await asyncio.sleep(0.1)

    def everybody_is_invited_once(self) -> None:
        rows = self.read(select(invitation.c.email, invitation.c.user_id, invitation.c.state))
        everybody = {(f"person-{n:06}@example.com", f"user-{n:06}") for n in range(self.people)}
        invited = Counter((row.email, row.user_id) for row in rows)
        assert invited.keys() == everybody, "somebody was lost, or made up"
        assert set(invited.values()) == {1}, "somebody was invited twice"
        assert {row.state for row in rows} == {"waiting"}
        ((standing),) = self.read(select(launch.c.waiting, launch.c.planned, launch.c.status))
        assert tuple(standing) == (self.people, 0, "paused"), "the counts are not true"
        assert self.read(select(func.count()).select_from(cohort_piece)) == [(0,)]
        assert self.read(select(func.count()).select_from(cohort_message)) == [(self._sent,)]


@asynccontextmanager
async def ground(folder: Path, database_url: str, seed: int) -> AsyncIterator[Ground]:
    app = create_sandbox(QUICK)
    async with (
        app.router.lifespan_context(app),
        serving(app) as url,
        httpx.AsyncClient(
            headers={"Authorization": f"Bearer {TOKEN}"}, verify=False, trust_env=False, timeout=20
        ) as client,
    ):
        here = Ground(folder, url, database_url, client, seed)
        try:
            yield here
        finally:
            here.close()


async def kill_in_the_middle(folder: Path, database_url: str, rounds: int, seed: int) -> str:
    async with ground(folder, database_url, seed) as here:
        cut = 0
        for number in range(rounds):
            await here.start()
            before = here.invitations()
            telling = asyncio.create_task(here.tell(here.messages()))
            await here.being_taken_apart(before)
            await asyncio.sleep(here.chance.uniform(0.0, 0.05))
            here.kill(2 - number % 2)  # both, or one of two
            await telling
            cut += here.begun() if not here.servers else 0
        await here.start()
        await here.tell(again := here.messages())
        await here.tell_the_rest()
        assert cut, "no kill ever hit a message"
        await here.all_taken_apart()
        await here.tell(again)
        await here.tell_the_rest()
        await here.all_taken_apart()
        here.everybody_is_invited_once()
        return (
            f"{rounds} rounds of kills, {cut} messages cut in the middle: {here.people:,} people told of, all invited, "
            "none twice"
        )


async def test_kills_while_cohorts_are_taken_apart_invite_everybody_once(
    tmp_path: Path, sqlite_url: str, counted: Counted
) -> None:
    counted(await kill_in_the_middle(tmp_path, sqlite_url, rounds=1, seed=1))


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(2))
async def test_many_kills_while_cohorts_are_taken_apart_invite_everybody_once(
    tmp_path: Path, database_url: str, seed: int, counted: Counted
) -> None:
    counted(await kill_in_the_middle(tmp_path, database_url, rounds=20, seed=seed))
