"""A host of cards, as small as the specification of MCP Apps (2026-01-26) lets it be, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp import Client
from mcp.types import TextResourceContents

from tests.console.browser import Tab

if TYPE_CHECKING:
    from playwright.async_api import Browser, Frame, Route

BASE = "http://host.example"
CAPABILITIES: Mapping[str, Any] = {"serverTools": {}, "updateModelContext": {"text": {}}}
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data:; connect-src 'none'"
)
"""What a host enforces where a page names no domains."""

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Host</title>
<style>:root { color-scheme: light dark } body { margin: 0 } iframe { border: 0; width: 100%; height: 150px }</style></head>
<body><iframe title="Card" sandbox="allow-scripts"></iframe><script>
const frame = document.querySelector("iframe"), heard = [];
const send = (message) => frame.contentWindow.postMessage({jsonrpc: "2.0", ...message}, "*");
addEventListener("message", async ({source, data}) => {
  if (source !== frame.contentWindow) return;
  heard.push(data);
  const {id, method, params} = data;
  if (method === "ui/notifications/size-changed") frame.style.height = `${params.height}px`;
  if (method === "ui/notifications/initialized") opened(data);
  if (method === "ui/initialize") send({id, result: {protocolVersion: params.protocolVersion,
    hostInfo: {name: "host", version: "1"}, hostCapabilities: window.capabilities, hostContext: window.context}});
  if (method === "ui/update-model-context") send({id, result: {}});
  if (method === "tools/call") send({id, ...await callTool(params)});
});
function open_(html) { return new Promise((resolve) => { window.opened = resolve; frame.srcdoc = html; }); }
</script></body></html>"""


@dataclass
class CardHost:
    """One card. `calls` are the tools that it called; `declines` lets the host answer those with an error."""

    client: Client
    tab: Tab
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    declines: bool = False

    @classmethod
    @asynccontextmanager
    async def of(cls, browser: Browser, client: Client, *, width: int = 600) -> AsyncIterator[CardHost]:
        """Yield a host beside a client; at the end nothing may have left it or gone wrong in it."""
        context = await browser.new_context(viewport={"width": width, "height": 800})
        host = cls(client, Tab(await context.new_page(), BASE))

        async def answer(route: Route) -> None:
            await route.fulfill(content_type="text/html", body=_PAGE)

        await context.route(f"{BASE}/**", answer)
        await host.tab.page.expose_function("callTool", host._call)
        yield host
        assert host.tab.wrong == []

    async def plan(self, **arguments: Any) -> dict[str, Any]:
        """Let the model plan; return the tool's result."""
        result = await self.client.call_tool("plan_cohort_launch", arguments)
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)

    async def show(
        self,
        result: Mapping[str, Any],
        arguments: Mapping[str, Any],
        *,
        tool: str = "plan_cohort_launch",
        capabilities: Mapping[str, Any] = CAPABILITIES,
        **context: Any,
    ) -> Frame:
        """Open the page that the tool names, and give it the call as a host does."""
        (meta,) = [one.meta for one in (await self.client.list_tools()).tools if one.name == tool]
        assert meta is not None
        (page,) = (await self.client.read_resource(meta["ui"]["resourceUri"])).contents
        assert isinstance(page, TextResourceContents)
        html = page.text.replace(
            "<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">', 1
        )
        await self.tab.go("/")
        browser = self.tab.page
        await browser.evaluate(
            "([capabilities, context]) => Object.assign(window, {capabilities, context})",
            [dict(capabilities), {"theme": "light", **context}],
        )
        await browser.evaluate("open_", html)
        await self.send("ui/notifications/tool-input", {"arguments": dict(arguments)})
        await self.send("ui/notifications/tool-result", result)
        return browser.frames[1]

    async def send(self, method: str, params: Mapping[str, Any]) -> None:
        await self.tab.page.evaluate("send", {"method": method, "params": params})

    async def heard(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of what the card sent under a name."""
        found: list[dict[str, Any]] = await self.tab.page.evaluate(
            "(method) => heard.filter((one) => one.method === method).map((one) => one.params)", method
        )
        return found

    async def _call(self, params: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((params["name"], params["arguments"]))
        if self.declines:
            return {"error": {"code": -32000, "message": "The person declined"}}
        result = await self.client.call_tool(params["name"], params["arguments"])
        return {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}
