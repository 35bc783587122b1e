"""Sessions of the console hold over all processes of a ledger, and a link opens one of them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from connector.domain.access import ConsoleSession
from connector.http.auth import token_digest
from connector.ledger.ledger import open_ledger
from connector.security.sealing import Sealer
from tests.faults.ground import REAL_LEASE
from tests.faults.test_cluster import cluster
from tests.support.harness import TOKEN

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]


async def test_a_console_session_holds_at_every_process(tmp_path: Path, postgres_url: str) -> None:
    async with cluster(tmp_path, postgres_url, REAL_LEASE) as all_, browser() as person, browser() as other:
        await all_.start("web", "web")
        first, second = (process.url for process in all_.processes)
        signed_in = await person.post(f"{first}/console/session", data={"token": TOKEN})
        assert signed_in.status_code == 303
        assert {(await person.get(f"{url}/console")).status_code for url in (first, second)} == {200}
        page = await person.get(f"{second}/console")
        form_token = re.findall(r'name="form_token" value="([0-9a-f]+)"', page.text)[0]
        other.cookies.update(person.cookies)
        signed_out = await person.post(f"{second}/console/sign-out", data={"form_token": form_token})
        assert signed_out.status_code == 303
        assert {(await other.get(f"{url}/console")).status_code for url in (first, second)} == {303}, (
            "it ended"
        )


async def test_of_two_processes_that_are_sent_a_link_of_the_console_one_opens_it(
    tmp_path: Path, postgres_url: str
) -> None:
    async with cluster(tmp_path, postgres_url, REAL_LEASE) as all_, browser() as person:
        await all_.start("web", "web")
        ledger = await open_ledger(postgres_url, Sealer([b"k" * 32]))
        digests, until_ = (
            (token_digest("a-code").hex(), token_digest(TOKEN).hex()),
            time.time_ns() // 1_000_000,
        )
        await ledger.console_sessions.begin(ConsoleSession(*digests, until_ + 60_000, is_link=True), until_)
        await ledger.close()
        opened = await asyncio.gather(
            *(person.get(f"{one.url}/console/session?link=a-code") for one in all_.processes * 3)
        )
        assert sorted(answer.status_code for answer in opened) == [303] + [401] * 5


@asynccontextmanager
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    """Yield the client of a person who keeps cookies."""
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, verify=False, timeout=20) as client:
        yield client
