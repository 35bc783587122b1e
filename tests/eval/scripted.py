"""A reader of texts without a model: it knows what descriptions, schemas, results and errors say, and some English.

It is no measure of models. It shows that the texts are enough: which tool is meant, which arguments it takes, where
their values come from, and what to call next.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mcp.types import Tool

from tests.eval.desk import Desk

STEPS = 60
SAME = (
    ("ask", "invite", "interview"),
    ("arrive", "came", "receipt", "way", "explain"),
    ("missing", "skipped", "explain"),
    ("learn", "theme", "why", "respondent"),
    ("unhappy", "respondent", "sentiment"),
    ("wait", "stuck"),
    ("going", "overview"),
    ("today", "day"),
    ("work", "check"),
    ("past", "backfill"),
)
"""Words that an English reader takes for each other, for want of a model."""
IDLE = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "in",
        "to",
        "and",
        "or",
        "is",
        "are",
        "was",
        "were",
        "do",
        "does",
        "did",
        "we",
        "our",
        "ours",
        "i",
        "it",
        "its",
        "this",
        "that",
        "there",
        "these",
        "those",
        "have",
        "has",
        "be",
        "been",
        "not",
        "for",
        "with",
        "which",
        "what",
        "how",
        "many",
        "why",
        "from",
        "at",
        "on",
        "by",
        "as",
        "most",
        "every",
        "would",
        "will",
        "it",
    ]
)
IDENTIFIER = re.compile(r"[\w@.-]*[\d_@-][\w@.-]*\w")

LIKELY = {True: (1.0, 0.6, 0.0), False: (0.6, 0.8, 1.0)}
"""How likely a question, and a request, mean a tool that only reads, one that writes here, and one that does more."""


def effect(tool: Tool) -> int:
    """Return 0 for a tool that only reads, 1 for one that writes, 2 for one that its hints call destructive."""
    hints = tool.annotations
    return 2 if hints is None or hints.destructive_hint else int(not hints.read_only_hint)


def stem(word: str) -> str:
    for ending in ("ations", "ation", "ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word.removesuffix(ending).rstrip("e")
    return word.rstrip("e")


def stems(text: str) -> list[str]:
    return [stem(word) for word in re.findall(r"[a-z]+", text.lower()) if word not in IDLE]


def meant(words: str) -> Counter[str]:
    """Return the stems of what a person says, with those that mean the same at half their weight."""
    said: Counter[str] = Counter(dict.fromkeys(stems(words), 4))
    for group in SAME:
        first, *others = map(stem, group)
        if first in said:
            for other in others:
                said[other] = max(said[other], 2)
    return said


@dataclass
class Reader:
    """One task: what the person said, and the values that stand in it and in what was read."""

    desk: Desk
    words: str
    texts: list[str] = field(default_factory=list)

    async def answer(self) -> str:
        """Return the last texts, which are all that this reader can say."""
        name = self.chosen
        await self.call(name, self.arguments(name))
        return "\n".join(self.texts[-3:])

    # which tool

    @cached_property
    def chosen(self) -> str:
        """Return the tool whose description fits best what the person says."""
        asks = self.words.rstrip().endswith("?")
        tools = list(self.desk.tools.values())
        about = {tool.name: Counter(self._about(tool)) for tool in tools}
        known: Counter[str] = Counter(word for words in about.values() for word in words)
        said, ids = meant(re.sub(IDENTIFIER, " ", self.words)), IDENTIFIER.findall(self.words)

        def fit(tool: Tool) -> float:
            words = about[tool.name]
            rare = {word: math.log(1 + len(tools) / known[word]) for word in said if known[word]}
            score = sum(said[word] * rare[word] * min(words[word], 4) for word in rare)
            length = math.sqrt(sum(min(n, 4) for n in words.values()))
            named = not ids or any(one in str(self.arguments(tool.name).values()) for one in ids)
            takes = (1.0 if named else 0.6) * (1.0 if self._has_what_it_takes(tool) else 0.25)
            return score / length * LIKELY[asks][effect(tool)] * takes

        return max(tools, key=fit).name

    @staticmethod
    def _about(tool: Tool) -> list[str]:
        sentences = re.split(r"(?<=[.:]) ", tool.description or "")
        told = " ".join(one for one in sentences if not one.startswith(("Not for", "Changes nothing")))
        return [*stems(told), *stems(f"{tool.name.replace('_', ' ')} {tool.title}") * 2]

    def _has_what_it_takes(self, tool: Tool) -> bool:
        required = tool.input_schema.get("required", [])
        return all(self.value(name, tool.input_schema["properties"][name]) is not None for name in required)

    # with which arguments

    def arguments(self, tool: str) -> dict[str, Any]:
        """Return the arguments for which the person's words hold a value."""
        schema = self.desk.tools[tool].input_schema["properties"]
        found = {name: self.value(name, field) for name, field in schema.items() if name != "connection"}
        return {name: value for name, value in found.items() if value is not None}

    def value(self, name: str, field: dict[str, Any]) -> Any:
        """Return what the words say about an argument."""
        words = self.words
        noun = name.removesuffix("_ids").removesuffix("_id")
        if name.endswith("_ids"):
            found = [word for word in IDENTIFIER.findall(words) if "@" not in word]
            return found if re.search(rf"\b{noun}s\b", words) and found else None
        if name == "email":
            return next((word for word in IDENTIFIER.findall(words) if "@" in word), None)
        if name.endswith("_id"):
            if named := re.search(rf"\b{noun} ({IDENTIFIER.pattern})", words):
                return named[1].rstrip(".")
            return next((word for word in IDENTIFIER.findall(words) if word.startswith(f"{noun}-")), None)
        if (choices := field.get("enum")) is not None:
            said = set(stems(words))
            return next((one for one in choices if set(stems(str(one).replace("_", " "))) <= said), None)
        if field.get("type") == "boolean":
            return True if name.startswith("include_") and name.removeprefix("include_") in words else None
        if field.get("type") == "integer" and "at most" in str(field.get("description")):
            most = re.search(r"at most (\d+)", words)
            return int(most[1]) if most else None
        return None

    # what to do with the answer

    async def call(self, name: str, arguments: dict[str, Any]) -> None:
        """Call a tool; look up what it lacks first, do what a refusal names, and follow to the end."""
        if not await self._look_up(name, arguments):
            return
        text, failed = await self._read(name, arguments)
        for _ in range(STEPS):
            if failed:
                named = self._named_in(text.partition("consent_required")[2])
                if named is None or named == name:
                    return
                text, failed = await self._read(named, self._fitting(arguments, named))
                name = named
                continue
            following = text.partition("\nNext: ")[2]
            step = self._named_in(following)
            if step is not None and self._asked_for(step) and step != name:
                arguments, name = self._pairs(following, step), step
            elif step is not None and re.search(r"\bstatus: (planning|running|pending)\b", text):
                arguments, name = self._pairs(following, step), step
                await asyncio.sleep(0.05)
            elif more := self._more(text, name, arguments):
                arguments = more
            else:
                return
            text, failed = await self._read(name, arguments)

    async def _read(self, name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        text, failed = await self.desk.call(name, arguments)
        self.texts.append(text)
        return text, failed

    async def _look_up(self, name: str, arguments: dict[str, Any]) -> bool:
        """Find an id in the list that the argument's description names, by the name that the person says."""
        properties = self.desk.tools[name].input_schema["properties"]
        for argument, about in properties.items():
            source = self._named_in(str(about.get("description")))
            noun = argument.removesuffix("_id")
            if argument in arguments or source is None or not re.search(rf"\b{noun}\b", self.words):
                continue
            text, failed = await self._read(source, {})
            rows = re.findall(r"\bid: ([^;]+); name: ([^;]+)", text)
            found = [row_id for row_id, row_name in rows if row_name in self.words]
            if failed or len(found) != 1:
                return False
            arguments[argument] = found[0]
        return True

    def _asked_for(self, tool: str) -> bool:
        """Tell whether the person's own words ask for a tool that changes something."""
        return effect(self.desk.tools[tool]) == 2 and tool == self.chosen

    def _named_in(self, text: str) -> str | None:
        """Return the tool that a text names first."""
        found = [(text.index(name), name) for name in self.desk.tools if re.search(rf"\b{name}\b", text)]
        return min(found)[1] if found else None

    def _fitting(self, arguments: dict[str, Any], tool: str) -> dict[str, Any]:
        known = self.desk.tools[tool].input_schema["properties"]
        return {name: value for name, value in arguments.items() if name in known}

    def _pairs(self, text: str, tool: str) -> dict[str, Any]:
        """Return the values that stand beside the names of a tool's arguments."""
        known = "|".join(self.desk.tools[tool].input_schema["properties"])
        return dict(re.findall(rf"\b({known}) ([\w.@-]*[\d_-][\w.@-]*\w)", text))

    def _more(self, text: str, name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """Return the arguments with which a tool says that it shows what the person asks for."""
        offered = re.search(r"^What the respondent said: response_format (\w+)", text, re.MULTILINE)
        if offered is None or "said" not in self.words or "response_format" in arguments:
            return None
        return {**arguments, "response_format": offered[1]}


async def scripted(desk: Desk, words: str) -> str:
    """Answer a person's words."""
    return await Reader(desk, words).answer()
