"""The page that asks a person, and what no client and no other page gets past it."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from connector.domain.access import Token
from connector.http.auth import token_digest
from connector.service.tokens import new_token
from tests.console.visitor import OWN, Visitor, visiting, words
from tests.oauth.asking import CHOSEN, REDIRECT, Asking
from tests.support.harness import TOKEN, World

pytestmark = pytest.mark.e2e


def boxes(page: str) -> dict[str, bool]:
    """Return the check boxes of a page, and whether each is checked."""
    found = re.findall(r'<input type="checkbox" name="([^"]*)"( checked)?>', page)
    return {name: bool(checked) for name, checked in found}


async def test_a_person_sees_who_asks_for_what_and_reading_is_the_default(
    asking: Asking, person: Visitor
) -> None:
    page = await person.get(asking.address())
    text = words(page)
    assert "Let Assistant use this connector?" in text
    assert "nothing proves it" in text
    assert "The answer goes to assistant.example.com" in text
    assert boxes(page) == {
        "scope_read": True,
        "scope_write": False,
        "scope_send": False,
        "scope_erase": False,
        "connection_default": True,
        "connection_shop": True,
    }


async def test_yes_sends_a_code_with_state_and_issuer(world: World, asking: Asking, person: Visitor) -> None:
    answer = await asking.answer(person)
    assert answer["state"] == "a state & more"
    assert answer["iss"] == world.settings.public_url
    given = (await asking.redeem(answer["code"])).json()
    found = (await asking.call(given["access_token"], "list_connections")).json()["result"]
    assert [one["id"] for one in found["structuredContent"]["items"]] == ["default"]
    last = (await world.get("list_audit"))["items"][0]
    assert (last["operation"], last["surface"], last["outcome"]) == ("grant_access", "console", "done")
    assert re.fullmatch("token/assistant-[0-9a-f]{8}", last["touched"]["grant"])


async def test_no_sends_a_refusal(world: World, asking: Asking, person: Visitor) -> None:
    answer = await asking.answer(person, {**CHOSEN, "do": "deny"})
    assert answer["error"] == "access_denied"
    assert (answer["state"], answer["iss"]) == ("a state & more", world.settings.public_url)
    assert await world.context.ledger.grants.listed(0) == []


async def test_nothing_chosen_asks_again(asking: Asking, person: Visitor) -> None:
    address = asking.address()
    for missing in ("scope_read", "connection_default"):
        await person.get(address)
        chosen = {name: value for name, value in CHOSEN.items() if name != missing}
        sent = await person.post(address, 200, **chosen)
        assert "choose at least one of yours" in words(sent.text)
        assert {name for name, checked in boxes(sent.text).items() if checked} == chosen.keys() - {"do"}


async def test_what_was_asked_for_and_is_not_ticked_is_said(world: World, asking: Asking) -> None:
    token = new_token()
    made = Token("ana", token_digest(token).hex(), ("read", "write"), None, 0)
    await world.context.ledger.tokens.create(made)
    async with visiting(world.app, world.settings.public_url) as ana:
        await ana.sign_in(token)
        page = await ana.get(asking.address(scope="read write send"))
    assert boxes(page)["scope_write"] is False
    assert "Tick below what you want it to do: write : to plan launches and cancel them send :" in words(page)
    assert "send : to invite people, spend credits and write to Amplitude (your token may not)" in words(page)


async def test_a_page_that_did_not_ask_for_all_says_nothing_of_it(asking: Asking, person: Visitor) -> None:
    for fields in ({}, {"scope": "read"}):
        assert "It asked for" not in words(await person.get(asking.address(**fields)))


async def test_no_more_than_what_was_asked_for(asking: Asking, person: Visitor) -> None:
    every = {**CHOSEN, "scope_send": "on", "scope_erase": "on", "connection_other": "on"}
    asked = {"scope": "read write unknown"}
    assert list(boxes(await person.get(asking.address(**asked))))[:2] == ["scope_read", "scope_write"]
    given = (await asking.redeem(await asking.code(person, every, **asked))).json()
    assert given["scope"] == "read"
    only_unknown = boxes(await person.get(asking.address(scope="openid offline_access")))
    assert "scope_erase" in only_unknown


async def test_no_more_than_the_person_has(world: World, asking: Asking) -> None:
    text = new_token()
    token = Token("ana", token_digest(text).hex(), ("read", "send"), ("shop",), 0)
    await world.context.ledger.tokens.create(token)
    async with visiting(world.app, world.settings.public_url) as ana:
        await ana.sign_in(text)
        page = await ana.get(asking.address())
        assert boxes(page) == {"scope_read": True, "scope_send": False, "connection_shop": True}
        every = {f"scope_{scope}": "on" for scope in ("read", "write", "send", "erase")}
        chosen = {"do": "allow", **every, "connection_shop": "on", "connection_default": "on"}
        given = (await asking.redeem(await asking.code(ana, chosen))).json()
        assert given["scope"] == "read send"
        await ana.get(asking.address(scope="erase"), 422)
    found = (await asking.call(given["access_token"], "list_connections")).json()["result"]
    assert [one["id"] for one in found["structuredContent"]["items"]] == ["shop"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"client_id": "client_unknown"}, "client_id"),
        ({"client_id": None}, "client_id"),
        ({"redirect_uri": "https://evil.example.com/callback"}, "redirect_uri"),
        ({"redirect_uri": f"{REDIRECT}/../other"}, "redirect_uri"),
        ({"response_type": "token"}, "response_type"),
        ({"response_type": None}, "response_type"),
        ({"code_challenge": None}, "PKCE"),
        ({"code_challenge": "short"}, "PKCE"),
        ({"code_challenge_method": "plain"}, "PKCE"),
        ({"code_challenge_method": None}, "PKCE"),
        ({"resource": "https://other.example.com/mcp"}, "resource"),
    ],
)
async def test_a_wrong_request_is_told_to_the_person_and_leads_nowhere(
    asking: Asking, person: Visitor, changed: dict[str, str | None], told: str
) -> None:
    address = asking.address(**changed)
    page = await person.get(address, 400 if told == "resource" else 422)
    assert told in words(page)
    assert "evil" not in page
    await person.get(asking.address())
    sent = await person.post(address, 303, **CHOSEN)
    assert sent.headers["location"] == address
    await person.get(f"{asking.address()}&{urlencode({'redirect_uri': REDIRECT})}", 422)


async def test_the_only_redirect_need_not_be_named(asking: Asking, person: Visitor) -> None:
    answer = await asking.answer(person, redirect_uri=None)
    assert (await asking.redeem(answer["code"], redirect_uri=None)).status_code == 200


async def test_any_port_of_loopback(asking: Asking, person: Visitor) -> None:
    registered = await asking.register(redirect_uris=["http://localhost/callback"])
    asking.client_id = registered.json()["client_id"]
    here = "http://localhost:41234/callback"
    assert "a program on your computer" in words(await person.get(asking.address(redirect_uri=here)))
    code = await asking.code(person, redirect_uri=here)
    assert (await asking.redeem(code, redirect_uri=here)).status_code == 200


async def test_no_other_page_says_yes(asking: Asking, person: Visitor) -> None:
    address = asking.address()
    await person.get(address)
    form = {"form_token": person.form_token(), **CHOSEN}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "http://["},
    ):
        answer = await person.client.post(address, data=form, headers=headers)
        assert answer.status_code == 403
        assert "location" not in answer.headers
    answer = await person.client.post(address, data={**form, "form_token": "0" * 64}, headers=OWN)
    assert answer.status_code == 403


async def test_the_policy_names_where_the_form_may_lead_and_forbids_frames(
    asking: Asking, person: Visitor
) -> None:
    await person.get(asking.address())
    policy = person.page.headers["content-security-policy"]
    assert "form-action 'self' https://assistant.example.com;" in policy
    assert "frame-ancestors 'none'" in policy
    assert person.page.headers["cache-control"] == "no-store"


async def test_a_name_is_text(asking: Asking, person: Visitor) -> None:
    name = "<script>alert(1)</script>\u202e" + "x" * 200
    asking.client_id = (await asking.register(client_name=name)).json()["client_id"]
    page = await person.get(asking.address())
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "x" * 61 not in page


async def test_who_is_not_signed_in_comes_back_to_the_question(world: World, asking: Asking) -> None:
    address = asking.address()
    async with visiting(world.app, world.settings.public_url) as visitor:
        again = await visitor.get(address, sec_fetch_site="cross-site")
        (to,) = re.findall(r'content="0;url=([^"]*)"', again)
        to = to.replace("&amp;", "&")
        asked = await visitor.client.get(to, headers=OWN)
        assert asked.headers["location"].startswith("/console/session?next=%2Foauth%2Fauthorize")
        sign_in = words(await visitor.get(asked.headers["location"]))
        assert "A program that calls itself Assistant sent you here" in sign_in
        assert "sent you here" not in words(await visitor.get("/console/session"))
        signed = await visitor.client.post(asked.headers["location"], data={"token": TOKEN}, headers=OWN)
        assert signed.headers["location"] == address
        assert "Assistant" in await visitor.get(address)
        shown = await visitor.client.get(to, headers={"Sec-Fetch-Site": "none"})
        assert shown.headers["location"] == address


async def test_another_name_of_the_server_is_not_answered(asking: Asking, person: Visitor) -> None:
    answer = await person.client.get(asking.address(), headers={"Host": "evil.example.com"})
    assert answer.status_code == 421
