"""A person at the console without JavaScript: follows links, keeps cookies, sends the forms of pages."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from starlette.applications import Starlette

from tests.support.harness import TOKEN

OWN = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Visitor:
    """`page` is what was seen last."""

    client: httpx.AsyncClient
    page: httpx.Response = field(init=False)
    went_to: str = ""

    async def get(self, url: str, status: int = 200, *, sec_fetch_site: str = "none") -> str:
        self.page = await self.client.get(url, headers={"Sec-Fetch-Site": sec_fetch_site})
        assert self.page.status_code == status, self.page.text
        return self.page.text

    async def post(self, url: str, status: int = 303, **fields: str) -> httpx.Response:
        """Send a form to a URL with what the page that was seen last has hidden for its session."""
        shown = re.search(r'name="shown" value="([0-9a-f]+)"', self.page.text)
        given = {"form_token": self.form_token(), "shown": shown[1] if shown else "", **fields}
        answer = await self.client.post(url, data=given, headers=OWN)
        assert answer.status_code == status, answer.text
        return answer

    async def press(self, label: str, **fields: str) -> str:
        """Send the form with a button of this label, and follow to the page after it; return its text."""
        forms = re.findall(r"<form\b[^>]*method=\"post\".*?</form>", self.page.text, re.DOTALL)
        (form,) = [one for one in forms if re.search(rf"<button[^>]*>{re.escape(label)}</button>", one)]
        action = re.search(r'action="([^"]*)"', form)
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form))
        given = {name: html.unescape(value) for name, value in hidden.items()} | fields
        answer = await self.client.post(
            html.unescape(action[1]) if action else str(self.page.url), data=given, headers=OWN
        )
        assert answer.status_code == 303, answer.text
        self.went_to = answer.headers["location"]
        return await self.get(self.went_to)

    def form_token(self) -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.page.text)
        return found[1] if found else ""

    async def sign_in(self, token: str = TOKEN, then: str = "/console") -> None:
        answer = await self.client.post(
            "/console/session", params={"next": then}, data={"token": token}, headers=OWN
        )
        assert (answer.status_code, answer.headers["location"]) == (303, then), answer.text
        await self.get(then)


@asynccontextmanager
async def visiting(app: Starlette, base_url: str = "http://127.0.0.1:8080") -> AsyncIterator[Visitor]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        yield Visitor(client)


def words(page: str) -> str:
    """Return what a person reads of a page."""
    shown = re.sub(r"<(style|script|head)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(shown).split())
