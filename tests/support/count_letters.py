"""Count the letters of a word: the one file of an operation that a test adds to the product."""

from __future__ import annotations

from pydantic import Field

from connector.context import Context
from connector.service.execution.operation import Effect, Example, Input, Operation, Output


class CountLettersInput(Input):
    """The word."""

    word: str = Field(description="The word whose letters are counted.")


class CountLettersOutput(Output):
    """The length of a word."""

    letters: int = Field(description="How many letters the word has.")


async def run(_: Context, payload: CountLettersInput) -> CountLettersOutput:
    """Return how many letters the word has."""
    return CountLettersOutput(letters=len(payload.word))


COUNT_LETTERS = Operation.of(
    run,
    subject="results",
    title="Count the letters",
    summary="Count the letters of a word. Use it when a word's length matters. Changes nothing.",
    guidance="Not for sentences.",
    example=Example({"word": "koji"}, {"letters": 4}),
    effect=Effect.READ,
)
