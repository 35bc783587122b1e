"""The way into the console: sign-in, links, what a session's cookie is, and how a session ends."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connector.console.page import STATIC
from connector.console.routes import SCREENS
from connector.domain.access import ConsoleSession, Token
from connector.http.auth import token_digest
from connector.http.token_throttle import UNDELAYED_FAILURES
from connector.ledger.db.copies import copy_sqlite, make_ready
from connector.service.tokens import new_token
from tests.console.visitor import OWN, Visitor, visiting, words
from tests.support.cli_runs import ROOT, Machine, free_port
from tests.support.harness import TOKEN, World

pytestmark = pytest.mark.e2e


def cookie_of(world: World) -> str:
    """Return the name of the cookie: the same at every process of a ledger."""
    return f"koji-amplitude-{world.context.ledger.keyed_hash('console cookie')[:8]}"


async def named(world: World, *scopes: str, name: str = "robot", only: tuple[str, ...] | None = None) -> str:
    text = new_token()
    assert await world.context.ledger.tokens.create(Token(name, token_digest(text).hex(), scopes, only, 0))
    return text


async def is_signed_in(visitor: Visitor) -> bool:
    answer = await visitor.client.get("/console", headers={"Sec-Fetch-Site": "none"})
    return answer.status_code == 200


async def test_the_first_address_leads_to_the_sign_in_page(world: World, stranger: Visitor) -> None:
    first = await stranger.client.get("/")
    assert (first.status_code, first.headers["location"]) == (303, "/console")
    asked = await stranger.client.get("/console/receipts?status=failed", headers={"Sec-Fetch-Site": "none"})
    assert asked.status_code == 303
    page = words(await stranger.get(asked.headers["location"]))
    assert "Connector token" in page
    assert "Up." in page
    assert "Version" in page
    world.context.stopping.set()
    assert "Down: The server is stopping." in words(await stranger.get("/console/session"))


async def test_a_token_opens_a_session_whose_cookie_only_our_pages_send(
    world: World, stranger: Visitor
) -> None:
    answer = await stranger.client.post(
        "/console/session?next=/console/receipts?status=failed", data={"token": f" {TOKEN}\n"}, headers=OWN
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/receipts?status=failed")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{cookie_of(world)}=")
    for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert "Secure" not in cookie
    value = stranger.client.cookies[cookie_of(world)]
    stored = b"".join(path.read_bytes() for path in world.folder.glob("ledger.db*"))
    assert token_digest(value).hex().encode() in stored
    assert value.encode() not in stored
    assert TOKEN.encode() not in stored
    assert await is_signed_in(stranger)


async def test_behind_https_the_cookie_is_secure_and_of_this_host_alone(world: World) -> None:
    await world.restart(PUBLIC_URL="https://connector.example.com")
    async with visiting(world.app, "https://connector.example.com") as visitor:
        await visitor.sign_in()
        assert "__Host-koji-amplitude" in visitor.client.cookies
        answer = await visitor.client.post("/console/session", data={"token": TOKEN}, headers=OWN)
        assert "; Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "to", ["https://evil.example", "//evil.example", "/consolex", "/docs", "/console\\@evil"]
)
async def test_signing_in_leads_to_no_other_place(stranger: Visitor, to: str) -> None:
    answer = await stranger.client.post(
        "/console/session", params={"next": to}, data={"token": TOKEN}, headers=OWN
    )
    assert answer.headers["location"] == "/console"


async def test_a_link_of_another_site_is_tried_once_more_from_our_own_page(
    owner: Visitor, stranger: Visitor
) -> None:
    url = "/console/receipts?status=failed"
    page = await stranger.get(url, sec_fetch_site="cross-site")
    again = f"{url}&again=1"
    assert f'content="0;url={again.replace("&", "&amp;")}"' in page
    # the browser now sends the cookie, if there is one; the mark goes from the address
    assert (await owner.client.get(again)).headers["location"] == url
    asked = await stranger.client.get(again, headers={"Sec-Fetch-Site": "cross-site"})
    assert parse_qs(urlsplit(asked.headers["location"]).query) == {"next": [url]}


async def test_no_page_is_stored_and_none_loads_from_elsewhere(owner: Visitor) -> None:
    for path in (*SCREENS, "/console/session"):
        answer = await owner.client.get(re.sub(r"{.*}", "unknown", path))
        assert answer.headers["cache-control"] == "no-store", path
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        for inline in ("<style", "style=", "<script>", "onclick", "javascript:"):
            assert inline not in answer.text, path


async def test_a_wrong_token_is_refused_and_guesses_are_slowed(
    stranger: Visitor, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(world.clock, "sleep", sleep)
    for token in ("", "wrong", "kat_wrong", *["guess"] * UNDELAYED_FAILURES):
        answer = await stranger.client.post("/console/session", data={"token": token}, headers=OWN)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "This token is not valid" in words(answer.text)
        assert "guess" not in answer.text
    assert any(seconds >= 0.1 for seconds in slept)


async def test_a_session_ends_after_12_hours_and_with_a_sign_out(
    world: World, owner: Visitor, stranger: Visitor
) -> None:
    await stranger.sign_in()
    kept = stranger.client.cookies[cookie_of(world)]
    await stranger.post("/console/sign-out")
    assert cookie_of(world) not in stranger.client.cookies
    stranger.client.cookies.set(cookie_of(world), kept)
    assert not await is_signed_in(stranger), "it is over on the server, too"
    world.clock.move(12 * 3_600 - 60)
    assert await is_signed_in(owner)
    world.clock.move(61)
    assert not await is_signed_in(owner)


async def test_a_session_ends_with_its_token(world: World, stranger: Visitor) -> None:
    await stranger.sign_in(await named(world, "read"))
    assert await world.context.ledger.tokens.revoke("robot", world.clock.now())
    assert not await is_signed_in(stranger)


async def test_another_api_token_ends_the_sessions_of_the_one_before(world: World, owner: Visitor) -> None:
    cookies = dict(owner.client.cookies)
    await world.restart()
    async with visiting(world.app) as visitor:
        visitor.client.cookies.update(cookies)
        assert await is_signed_in(visitor), "a restart ends none"
    await world.restart(CONNECTOR_API_TOKEN="another-token")
    async with visiting(world.app) as visitor:
        visitor.client.cookies.update(cookies)
        assert not await is_signed_in(visitor)


async def a_link(world: World, code: str = "a-code") -> str:
    now = world.clock.now()
    link = ConsoleSession(token_digest(code).hex(), token_digest(TOKEN).hex(), now + 60_000, is_link=True)
    await world.context.ledger.console_sessions.begin(link, now)
    return f"/console/session?link={code}"


async def test_a_link_works_once_and_within_a_minute(world: World, stranger: Visitor) -> None:
    url = await a_link(world)
    stranger.client.cookies.set(cookie_of(world), "a-code")
    assert not await is_signed_in(stranger), "a link is no session"
    stranger.client.cookies.clear()
    await stranger.client.head(url)
    opened = await stranger.client.get(url, headers={"Sec-Fetch-Site": "none"})
    assert (opened.status_code, opened.headers["location"]) == (303, "/console")
    assert await is_signed_in(stranger)
    for late in (url, await a_link(world, "another")):
        world.clock.move(61)
        refused = await stranger.client.get(late)
        assert refused.status_code == 401
        assert "older than 60 seconds" in words(refused.text)


def test_the_command_line_makes_the_link_and_a_new_key_ends_the_session(tmp_path: Path) -> None:
    machine = Machine(
        tmp_path, {"PORT": str(free_port()), "DATABASE_URL": f"sqlite:///{tmp_path}/store/ledger.db"}
    )
    (tmp_path / "store").mkdir(mode=0o700)
    with machine.started("serve", until='"event": "started"'):
        printed = machine.run("console", "--print")
        assert printed.returncode == 0, printed.stderr
        url = printed.stdout.strip()
        assert url.startswith(f"http://127.0.0.1:{machine.settings['PORT']}/console/session?link=")
        with httpx.Client(trust_env=False) as client:
            assert client.get(url).headers["location"] == "/console"
            console = f"http://127.0.0.1:{machine.settings['PORT']}/console"
            assert client.get(console).status_code == 200
            assert client.get(url).status_code == 401
            rotated = machine.run("rotate-key")
            assert rotated.returncode == 0, rotated.stdout + rotated.stderr
            assert client.get(console, headers={"Sec-Fetch-Site": "none"}).status_code == 303


async def test_a_restored_ledger_has_no_session(world: World, owner: Visitor) -> None:
    copy_sqlite(world.folder / "ledger.db", copy := world.folder / "copy.db")
    make_ready(copy)
    with closing(sqlite3.connect(copy)) as restored:
        assert restored.execute("SELECT count(*) FROM console_session").fetchone() == (0,)
    assert await is_signed_in(owner)


def test_the_scripts_are_small_and_the_one_of_others_is_the_one_that_was_read() -> None:
    scripts = {path.name: path.read_bytes() for path in STATIC.glob("*.js")}
    assert sum(map(len, scripts.values())) <= 60_000
    decided = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    assert hashlib.sha256(scripts["htmx.min.js"]).hexdigest() in decided
    assert (STATIC / "htmx.LICENSE.txt").exists()


async def test_only_our_own_names_are_answered(world: World, owner: Visitor) -> None:
    assert (await owner.client.get("/console", headers={"Host": "evil.example"})).status_code == 421
    refused = await owner.client.get("/console/session", headers={"Host": "connector.internal"})
    assert "CONNECTOR_ALLOWED_HOSTS" in refused.text
    await world.restart(CONNECTOR_ALLOWED_HOSTS="connector.internal")
    async with visiting(world.app, "http://connector.internal:9000") as visitor:
        await visitor.get("/console/session")


async def test_an_open_page_whose_session_ended_loads_itself_anew(owner: Visitor) -> None:
    owner.client.cookies.clear()
    answer = await owner.client.get("/console/launches", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-refresh"]) == (204, "true")
    answer = await owner.client.get("/console/launches/lau_1/events", headers={"Accept": "text/event-stream"})
    assert "event: changed" in answer.text


async def test_the_use_of_a_token_is_kept_to_the_hour(world: World) -> None:
    token: dict[str, Any] = {"Authorization": f"Bearer {await named(world, 'read')}"}
    (before,) = await world.context.ledger.tokens.listed()
    assert before.used_at is None
    times = set()
    for seconds in (0, 60, 3_600):
        world.clock.move(seconds)
        assert (await world.client.get("/me", headers=token)).status_code == 200
        (seen,) = await world.context.ledger.tokens.listed()
        times.add(seen.used_at)
    assert len(times) == 2
