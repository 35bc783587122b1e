"""A model at the desk, through Anthropic's Messages API: it gets the tools as they are and one person's words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.eval.desk import Desk

ADDRESS = "https://api.anthropic.com/v1/messages"
MODEL = "claude-sonnet-4-5"
TURNS = 25
TRIES = 6
BUSY = frozenset({429, 500, 502, 503, 529})
MANNER = (
    "You are an assistant with the tools below. Do what the person asks, and answer in a few plain sentences."
)


@dataclass
class Model:
    """A model; `tokens` counts what it read and wrote."""

    client: httpx.AsyncClient
    name: str = MODEL
    tokens: int = 0

    @classmethod
    def of(cls, key: str, name: str) -> Model:
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
        return cls(httpx.AsyncClient(headers=headers, timeout=120), name)

    async def __call__(self, desk: Desk, words: str) -> str:
        """Return the model's last words. A question back is answered once, as the person decided."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": words}]
        reply = "Yes, go on." if desk.yes else "No."
        said = ""
        for _ in range(TURNS):
            answer = await self._ask(desk, messages)
            messages.append({"role": "assistant", "content": answer["content"]})
            said += "\n".join(part["text"] for part in answer["content"] if part["type"] == "text")
            if answer["stop_reason"] == "tool_use":
                messages.append({"role": "user", "content": await self._use(desk, answer["content"])})
            elif reply and said.rstrip().endswith("?"):
                messages.append({"role": "user", "content": reply})
                reply = ""
            else:
                break
        return said

    @staticmethod
    async def _use(desk: Desk, parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        results = []
        for part in (one for one in parts if one["type"] == "tool_use"):
            text, failed = await desk.call(part["name"], part["input"])
            results.append(
                {"type": "tool_result", "tool_use_id": part["id"], "content": text, "is_error": failed}
            )
        return results

    async def _ask(self, desk: Desk, messages: list[dict[str, Any]]) -> dict[str, Any]:
        tools = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
            for tool in desk.tools.values()
        ]
        asked = {
            "model": self.name,
            "max_tokens": 2_000,
            "system": f"{MANNER}\n\n{desk.instructions}",
            "tools": tools,
            "messages": messages,
        }
        for attempt in range(TRIES):
            answer = await self.client.post(ADDRESS, json=asked)
            if answer.status_code not in BUSY or attempt == TRIES - 1:
                break
            await asyncio.sleep(float(answer.headers.get("retry-after", 2**attempt)))
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        self.tokens += sum(found["usage"][name] for name in ("input_tokens", "output_tokens"))
        return found
