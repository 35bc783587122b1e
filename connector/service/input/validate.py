"""Turn values into an operation's input, and describe wrong values to the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from connector.errors import FieldError, InvalidInput
from connector.service.input.annotations import item_kinds, kinds, model_of
from connector.service.input.coerce import fit

MAX_NAME = 60
MOST_SHOWN = 50  # a body can be wrong in a million places, and describing one costs more than finding it

_PLAIN = {
    "missing": "is required",
    "union_tag_invalid": "is of a kind that is not known",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "string_pattern_mismatch": "holds a character, such as a space, that it may not hold",
}

M = TypeVar("M", bound=BaseModel)


def read_input(model: type[M], values: Mapping[str, Any], **defaults: Any) -> M:
    """Return a caller's values as a model, read as forgivingly on every surface; see `fit`.

    `defaults` stand in for fields that are not given. Raises `InvalidInput`.
    """
    return validate(model, {**defaults, **fit(values, model)})


def validate(model: type[M], values: Mapping[str, Any]) -> M:
    """Return the values as a model. Raises `InvalidInput` with the first `MOST_SHOWN` wrong fields."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid_input(error, model) from None


def invalid_input(error: ValidationError, model: type[BaseModel]) -> InvalidInput:
    """Return the error for the caller: it names the first wrong fields and repeats none of the values."""
    details = error.errors(include_url=False, include_context=False, include_input=False)[:MOST_SHOWN]
    errors = [FieldError(pointer(detail["loc"]), _message(detail, model)) for detail in details]
    message = "; ".join(
        f"{'.'.join(map(_name, detail['loc']))}: {wrong.detail}" if detail["loc"] else wrong.detail
        for detail, wrong in zip(details, errors, strict=True)
    )
    if (more := error.error_count() - len(details)) > 0:
        message += f"; and {more:,} more"
    return InvalidInput(message, errors=errors)


def pointer(steps: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of a path into the body."""
    return "".join("/" + _name(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _name(step: str | int) -> str:
    return str(step)[:MAX_NAME]


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown(detail["loc"], model)
        case "value_error" | "assertion_error":
            return detail["msg"].partition(", ")[2]
        case kind:
            return _PLAIN.get(kind) or detail["msg"].replace("Input should", "should", 1)


def _unknown(path: tuple[str | int, ...], model: type[BaseModel]) -> str:
    owner = _owner(path[:-1], model)
    close = get_close_matches(str(path[-1]), owner.model_fields if owner else (), n=1)
    return "is not a field of this operation" + (f"; did you mean {close[0]}?" if close else "")


def _owner(path: tuple[str | int, ...], model: type[BaseModel]) -> type[BaseModel] | None:
    owner: type[BaseModel] | None = model
    for step in path:
        if owner is None or isinstance(step, int):
            continue
        field = owner.model_fields.get(step)
        alternatives = kinds(field.annotation) if field else []
        alternatives += [item for kind in alternatives for item in item_kinds(kind)]
        owner = next(filter(None, map(model_of, alternatives)), None)
    return owner
