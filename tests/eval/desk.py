"""A desk: one assistant, its client, and a person who says yes or no; and the score of a task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.types import ElicitRequestParams, ElicitResult, Tool

from tests.eval.scene import Scene, open_scene
from tests.eval.tasks import TASKS, Task
from tests.mcp.clients import http_client, text_of
from tests.support.harness import until

SECONDS = 240.0
DOORS = frozenset({"plan_token", "resume_token"})
"""Arguments with which the server asks no more, because the person was shown what they stand for."""


@dataclass
class Desk:
    """The tools as an assistant sees them. A host asks its person before a call that the server will not ask about."""

    client: Client
    tools: dict[str, Tool]
    instructions: str
    yes: bool
    calls: list[str] = field(default_factory=list)

    async def call(self, name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        """Return the text of a call, and whether it failed."""
        self.calls.append(name)
        hints = self.tools[name].annotations if name in self.tools else None
        if not self.yes and hints and hints.destructive_hint and DOORS & arguments.keys():
            return "The person did not let this call through.", True
        answer = await self.client.call_tool(name, arguments)
        return text_of(answer), bool(answer.is_error)


Assistant = Callable[[Desk, str], Awaitable[str]]


@dataclass(frozen=True)
class Score:
    """What is wrong with what an assistant did for a task; nothing when it is solved."""

    task: Task
    wrong: list[str]
    calls: list[str]
    answer: str


async def scores(assistant: Assistant, folder: Path, *, apart: bool = False) -> AsyncIterator[Score]:
    """Yield the score of each task: in one scene, those of the stuck launch and with `apart` all in their own."""
    together = [task for task in TASKS if not (apart or task.stuck)]
    if together:
        (folder / "together").mkdir()
        async with open_scene(folder / "together") as scene:
            for task in together:
                yield await judged(task, scene, assistant)
    for task in TASKS:
        if task not in together:
            (folder / task.name).mkdir()
            async with open_scene(folder / task.name, stuck=task.stuck) as scene:
                yield await judged(task, scene, assistant)


async def judged(task: Task, scene: Scene, assistant: Assistant) -> Score:
    """Let an assistant work on a task, and judge by the stand-ins and by the answer."""
    if task.before is not None:
        await task.before(scene)
    started, arrived = scene.starts(), scene.world.completed()

    async def person(_: Any, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content={}) if task.yes else ElicitResult(action="decline")

    words = task.words.format(done=scene.done, stuck=scene.stuck, first=scene.first_started())
    async with http_client(scene.world, elicitation_callback=person) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        desk = Desk(client, tools, client.instructions or "", task.yes)
        async with asyncio.timeout(SECONDS):
            answer = await assistant(desk, words)
    wrong = task.wrong_in(answer)
    expected = (sorted([*started, *task.starts]), sorted([*arrived, *task.events]))

    async def is_there() -> bool:
        return (scene.starts(), sorted(scene.world.completed())) == expected

    await scene.world.idle()
    try:
        await until(is_there, 5)
    except AssertionError:
        extra = [one for one in scene.starts() if one not in expected[0]]
        wrong.append(f"Koji started {scene.starts()} and Amplitude has {scene.world.completed()}; {extra=}")
    if task.after is not None:
        try:
            await until(lambda: task.after(scene), 10)  # type: ignore[misc]  # looked at above
        except AssertionError:
            wrong.append("what should have happened did not")
    return Score(task, wrong, desk.calls, answer)
