"""Requests of MCP 2026-07-28 as they go over the wire, for what the official client would not send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from tests.support.harness import TOKEN

VERSION = "2026-07-28"
ASKABLE: Mapping[str, Any] = {"elicitation": {"form": {}}}
YES: Mapping[str, Any] = {"approve": {"action": "accept", "content": {}}}


async def call(
    url: str,
    name: str,
    arguments: Mapping[str, Any],
    *,
    capabilities: Mapping[str, Any] = ASKABLE,
    token: str = TOKEN,
    seconds: float = 30.0,
    **more: Any,
) -> dict[str, Any]:
    """Call a tool; `more` are `inputResponses` and `requestState`. Return the JSON-RPC answer of JSON or SSE."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": dict(capabilities),
    }
    params = {"name": name, "arguments": dict(arguments), "_meta": meta, **more}
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": name,
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    async with httpx.AsyncClient(timeout=httpx.Timeout(30.0, read=seconds), verify=False) as client:
        answer = await client.post(f"{url}/mcp", json=body, headers=headers)
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        text = next(line for line in text.splitlines() if '"result"' in line or '"error"' in line).partition(
            " "
        )[2]
    found: dict[str, Any] = json.loads(text)
    return found


async def asked(url: str, name: str, arguments: Mapping[str, Any], **more: Any) -> tuple[str, str]:
    """Call a tool that must ask; return the question and the state to come back with."""
    result = (await call(url, name, arguments, **more))["result"]
    assert result["resultType"] == "input_required", result
    (request,) = result["inputRequests"].values()
    return request["params"]["message"], result["requestState"]


async def approve(url: str, name: str, arguments: Mapping[str, Any], state: str, **more: Any) -> Any:
    """Call it again with the person's yes; return the JSON-RPC answer."""
    return await call(url, name, arguments, requestState=state, inputResponses=dict(YES), **more)
