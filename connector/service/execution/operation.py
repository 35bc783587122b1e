"""Declare an operation: one frozen value from which every surface is projected."""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Literal, NamedTuple, Self, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter
from typing_extensions import TypeForm

from connector.context import Context
from connector.errors import Conflict
from connector.settings.model import Connection
from connector.text.redaction import cut

NOT_COMPARED = frozenset({"idempotency_key", "wait_seconds", "callback_url"})
_LONGEST_NAME = 80
_QUOTES = re.compile('["\u201c-\u201f\u00ab\u00bb\u2033\uff02]')


class Effect(Enum):
    """What an operation changes; scope, hints and the question on the command line follow from it."""

    READ = "read"  # nothing that a person would notice
    WRITE = "write"  # our own records
    SEND = "send"  # something at Koji or Amplitude; may contact people or spend
    ERASE = "erase"  # removes for good


class Input(BaseModel):
    """The fields that every operation takes. Unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    connection: str = Field(
        "default",
        pattern=r"^[a-z0-9-]{1,40}$",
        description="Which Koji project and Amplitude project: a name from list_connections.",
    )

    def condensed(self, _connections: Mapping[str, Connection]) -> Self:
        """Return the input with its long lists in the form in which they are stored.

        That takes long, and is done where it holds up no webhook. Raises `InvalidInput`.
        """
        return self


class EffectInput(Input):
    """The fields of every operation that changes something."""

    idempotency_key: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="Any text of yours that names this request. For 7 days the same key answers with the "
        "first result and does nothing again.",
    )
    _digest: str | None = PrivateAttr(None)

    def digest(self) -> str:
        """Return the SHA-256 of the request; a default that is spelled out changes nothing."""
        if self._digest is None:
            fields = self.model_dump(mode="json", exclude=set(NOT_COMPARED), exclude_defaults=True)
            canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            self._digest = hashlib.sha256(canonical.encode()).hexdigest()
        return self._digest


class WaitInput(EffectInput):
    """The fields of every operation that can end later than it answers."""

    wait_seconds: int = Field(
        8,
        ge=0,
        le=25,
        description="How long to wait for the end, in seconds (0 to 25). What is not done by then goes on "
        "by itself.",
    )
    callback_url: str | None = Field(
        None,
        description="Where to post the result of what is not done by then: a public https URL. Nothing "
        "is posted of an answer that is finished already.",
    )


class Output(BaseModel):
    """The answer of an operation. Every key is always present."""

    model_config = ConfigDict(extra="ignore")

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        """Return the READ operation, with its arguments, that shows the end, or None if this is the end."""
        return None

    def kept(self) -> Output:
        """Return what is stored of the answer for a repeat: nothing names, quotes or leads to a person."""
        return self

    def brought_up_to_date(self, present: Output) -> dict[str, Any]:
        """Return the values of this answer after those of its follow-up."""
        return {**self.model_dump(mode="json"), **present.model_dump(mode="json")}

    def stands_still(self) -> bool:
        """Tell whether the operation continues only after a person acts."""
        return False

    async def raise_failure(self, ctx: Context) -> None:
        """Raise the error of a failed answer about a single thing."""


class ListInput(Input):
    """The fields of every list."""

    cursor: str | None = Field(None, description="The next_cursor of the page before.")
    limit: int = Field(50, ge=1, le=500, description="Rows a page (1 to 500).")


class Example(NamedTuple):
    """A call with only the fields it needs, and its answer with every key."""

    asked: Mapping[str, Any]
    answered: Mapping[str, Any]


class ConsentRequired(Conflict, code="consent_required"):
    """A person has to approve first."""


class Approver(ABC):
    """Asks the person behind a client for approval, for one call, before something is spent."""

    @property
    @abstractmethod
    def state(self) -> str | None:
        """Return the state of the question that this call answers, or None if none was asked."""

    @abstractmethod
    def require_way(self, otherwise: str) -> None:
        """Raise `ConsentRequired` when the person cannot be asked; `otherwise` says what to do then."""

    @abstractmethod
    async def require(self, question: str, state: str) -> None:
        """Return once the person has approved; raise otherwise. `state` comes back with the answer."""


def quoted(name: str | None) -> str:
    """Return a name that came from outside as one line of a question, without quote marks of its own."""
    return f"“{cut(' '.join(_QUOTES.sub('', name or '').split()), _LONGEST_NAME)}”"


In = TypeVar("In", bound=Input)
Out = TypeVar("Out", bound=Output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[In, Out]):
    """One thing that the connector can do.

    `name` is the same on every surface; `subject` groups operations in documents. `summary` is written for a
    person and a model: when to use it and what it changes. `guidance` adds for models when another tool is
    right. `output` is a model, or a union of models when it can answer in more than one shape. `approved`
    asks the person whose assistant calls before it runs an operation that spends. `recall` adds to a stored
    answer what `kept` left out, as far as it is still there. `spans_connections` means that, without
    `connection`, it is about all of the caller's.
    """

    name: str
    subject: Literal["launches", "results", "people", "connections"]
    title: str
    summary: str
    guidance: str
    example: Example = field(compare=False)
    input: type[In]
    output: TypeForm[Out]
    run: Callable[[Context, In], Awaitable[Out]]
    effect: Effect
    approved: Callable[[Context, In, Approver], Awaitable[Out]] | None = None
    recall: Callable[[Context, In, Out], Awaitable[Out]] | None = None
    spans_connections: bool = False

    @classmethod
    def of(cls, run: Callable[[Context, In], Awaitable[Out]], **about: Any) -> Operation[In, Out]:
        """Return the operation of a file: it has the file's name, and the input and output of its `run`.

        `about` are the other fields.
        """
        hints, name = get_type_hints(run), run.__module__.rpartition(".")[2]
        return cls(name=name, input=hints["payload"], output=hints["return"], run=run, **about)

    def answer(self, values: Any) -> Out:
        """Return values as this operation's output. Of a union it is the stored model: each has every key."""
        shape: TypeAdapter[Out] = TypeAdapter(self.output)
        return shape.validate_python(values)


AnyOperation = Operation[Any, Any]
