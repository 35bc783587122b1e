"""People see which assistants they let in, and end that: in the console and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connector.domain.access import Token
from connector.http.auth import token_digest
from connector.service.tokens import new_token
from tests.console.visitor import Visitor, visiting, words
from tests.oauth.asking import CHOSEN, Asking
from tests.support.cli_runs import Machine
from tests.support.harness import World

pytestmark = pytest.mark.e2e


async def granted(world: World) -> str:
    (grant,) = await world.context.ledger.grants.listed(0)
    return grant.name


async def test_the_console_lists_grants_and_ends_them(world: World, asking: Asking, person: Visitor) -> None:
    given = await asking.tokens(person)
    await asking.list_tools(given["access_token"])
    name = await granted(world)
    page = words(await person.get("/console/access"))
    assert f"{name} Assistant read default" in page
    assert f"The grant {name} has ended." in words(await person.press(f"End {name}"))
    assert (await asking.list_tools(given["access_token"])).status_code == 401
    last = (await world.get("list_audit"))["items"][0]
    assert (last["operation"], last["outcome"], last["touched"]) == ("end_grant", "done", {"grant": name})


async def test_a_person_sees_and_ends_their_own_alone(world: World, asking: Asking, person: Visitor) -> None:
    text = new_token()
    token = Token("ana", token_digest(text).hex(), ("read",), ("default",), 0)
    await world.context.ledger.tokens.create(token)
    given = await asking.tokens(person)
    name = await granted(world)
    async with visiting(world.app, world.settings.public_url) as ana:
        await ana.sign_in(text)
        assert f"End {name}" not in await ana.get("/console/access")
        await ana.get("/console/receipts")
        await ana.post("/console/access", 303, do="end", name=name)
        assert "there is no grant of that name" in words(await ana.get("/console/access"))
        await asking.tokens(ana)
        assert "ana/assistant-" in await ana.get("/console/access")
    assert (await asking.list_tools(given["access_token"])).status_code == 200
    assert "ana/assistant-" in await person.get("/console/access")


async def test_calls_stand_in_the_audit_log_under_the_grant(
    world: World, asking: Asking, person: Visitor
) -> None:
    given = await asking.tokens(person, {**CHOSEN, "scope_write": "on"})
    await asking.call(given["access_token"], "plan_cohort_launch", members=[{"email": "a@example.com"}])
    last = (await world.get("list_audit"))["items"][0]
    assert (last["operation"], last["token"]) == ("plan_cohort_launch", await granted(world))
    assert last["surface"] == "mcp"


async def test_revoking_a_token_ends_its_grants(world: World, asking: Asking, person: Visitor) -> None:
    await person.get("/console/access")
    page = words(await person.press("Create", name="ana", scope_read="on"))
    text = page.partition("shown only now: ")[2].split()[0]
    async with visiting(world.app, world.settings.public_url) as ana:
        await ana.sign_in(text)
        given = await asking.tokens(ana)
    await person.get("/console/access")
    await person.press("Revoke ana")
    assert (await asking.list_tools(given["access_token"])).status_code == 401
    assert await world.context.ledger.grants.listed(0) == []


async def test_the_command_line_lists_and_ends_a_grant(
    world: World, asking: Asking, person: Visitor, tmp_path: Path
) -> None:
    given = await asking.tokens(person)
    name = await granted(world)
    home = tmp_path / "home"
    home.mkdir()
    machine = Machine(home, {"DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.db'}"})
    [one] = json.loads(machine.run("token", "list", "--output", "json").stdout)["items"]
    assert (one["name"], one["client"], one["scopes"]) == (name, "Assistant", ["read"])
    assert machine.run("token", "revoke", "token/unknown").returncode == 3
    assert machine.run("token", "revoke", name).returncode == 0
    assert (await asking.list_tools(given["access_token"])).status_code == 401
