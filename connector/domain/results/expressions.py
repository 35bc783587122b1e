"""Check and evaluate JMESPath expressions, which the settings add properties with."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Any, Final, NamedTuple
from warnings import catch_warnings, simplefilter

import jmespath
from jmespath.exceptions import JMESPathTypeError, ParseError
from jmespath.functions import Functions

from connector.text.redaction import cut

_SHOWN: Final = 30  # characters of an expression in an error


class Fault(NamedTuple):
    """What is wrong with an expression, and the offset of the character at which it is seen."""

    at: int
    words: str


def fault_in(expression: str, fields: Container[str]) -> Fault | None:
    """Return what keeps an expression from finding something in an object with these fields, or None."""
    try:
        with catch_warnings():  # an old form of literals is warned about, and still works
            simplefilter("ignore")
            parsed = jmespath.compile(expression)
    except ParseError as error:
        unexpected = cut(str(error.token_value or ""), _SHOWN)
        words = f"does not expect {unexpected!r}" if unexpected else "ends too early"
        return Fault(error.lex_position, words)
    except (ValueError, RecursionError):
        return Fault(0, "is empty or cannot be read")
    return next(_wrong_calls(expression, parsed.parsed), None) or _unknown(expression, parsed.parsed, fields)


def _unknown(expression: str, node: Any, fields: Container[str]) -> Fault | None:
    """Return the fault that the first name is none of the fields: it would be null for every interview."""
    while node["type"] not in {"field", "expref"} and node["children"]:
        node = node["children"][0]
    if node["type"] != "field" or node["value"] in fields:
        return None
    name = cut(node["value"], _SHOWN)
    constant = f"a constant is written '{name}' in single quotes, or as a literal in backquotes"
    return Fault(max(expression.find(name), 0), f"names {name}, which no interview has; {constant}")


def _wrong_calls(expression: str, node: Any) -> Iterator[Fault]:
    """Yield the calls that would fail on every interview; the library looks functions up when it runs."""
    if node["type"] == "function_expression":
        name, given = node["value"], len(node["children"])
        taken = Functions.FUNCTION_TABLE.get(name, {}).get("signature")
        place = re.search(rf"\b{name}\s*\(", expression)
        at = place.start() if place else 0
        if taken is None:
            yield Fault(at, f"calls {name}(), which JMESPath does not have")
        elif given < len(taken) or (given > len(taken) and not (taken and taken[-1].get("variadic"))):
            yield Fault(at, f"calls {name}() with {given} instead of {len(taken)} arguments")
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _wrong_calls(expression, child)


def evaluate(expression: str, value: Any) -> Any:
    """Return what a checked expression finds in a JSON value. Raises `ValueError` when it fails on it."""
    try:
        return jmespath.search(expression, value)
    except (ValueError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        # its message may hold what the respondent said
        types = "a function does not take the type of this value"
        raise ValueError(types if isinstance(error, JMESPathTypeError) else type(error).__name__) from None
