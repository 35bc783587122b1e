"""Turn values as low-code tools send them into values that a model takes.

The model judges the rest: unknown fields stay, so that it refuses them by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from connector.errors import InvalidInput
from connector.service.input.annotations import is_list, is_mapping, item_kinds, kinds, model_of
from connector.text.json import parse_json
from connector.text.values import split_list, text


def fit(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the values as `model` takes them.

    Empty text, null and empty lists count as not given, here and in the models one level below; a free
    dictionary is the caller's own and stays as it is. Lists may be text (split at line breaks, else at
    commas), lists and objects may be JSON text, numbers and booleans text, text whole numbers.
    """
    return _fit(values, model, below=True)


def _fit(values: Mapping[str, Any], model: type[BaseModel], *, below: bool) -> dict[str, Any]:
    fitted: dict[str, Any] = {}
    fields = _fields(model)
    for name, value in values.items():
        if name not in fields:
            fitted[name] = value
        elif not _is_empty(value):
            fitted[name] = _fit_value(value, fields[name], below=below)
    return fitted


@cache
def _fields(model: type[BaseModel]) -> dict[str, list[Any]]:
    """Return what each field of a model can hold."""
    return {name: kinds(field.annotation) for name, field in model.model_fields.items()}


def _is_empty(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _fit_value(value: Any, wanted: list[Any], *, below: bool) -> Any:
    if isinstance(value, str):
        value = _fit_text(value, wanted)
    elif wanted == [str]:
        return _whole_number_text(value)
    if isinstance(value, dict):
        return _fit_object(value, wanted, below=below)
    if isinstance(value, list):
        return _fit_list(value, [item for kind in wanted for item in item_kinds(kind)], below=below)
    return value


def _fit_list(items: list[Any], wanted: list[Any], *, below: bool) -> list[Any]:
    if wanted == [str]:
        return [_whole_number_text(item) for item in items]
    models = list(filter(None, map(model_of, wanted)))
    if not below or len(models) != 1:
        return items
    return [_fit(item, models[0], below=False) if isinstance(item, dict) else item for item in items]


def _whole_number_text(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return text(value) or value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _fit_object(value: dict[str, Any], wanted: list[Any], *, below: bool) -> Any:
    model = model_of(wanted[0]) if len(wanted) == 1 else None
    if below and model is not None:
        return _fit(value, model, below=False)
    if any(map(is_list, wanted)) and not any(map(is_mapping, wanted)):
        return _fit_value([value], wanted, below=below)
    return value


def _fit_text(text: str, wanted: list[Any]) -> Any:
    if str in wanted:
        return text
    if any(map(is_list, wanted)):
        return _list_of(text)
    if any(map(is_mapping, wanted)):
        return _json_or(text, text)
    return text.strip()


def _list_of(text: str) -> Any:
    is_json = text.lstrip().startswith(("[", "{"))
    return _json_or(text, split_list(text)) if is_json else split_list(text)


def _json_or(text: str, otherwise: Any) -> Any:
    try:
        return parse_json(text.encode(errors="surrogatepass"))
    except InvalidInput:
        return otherwise
