"""Read off a field's annotation what the field can hold."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

LISTS = (list, tuple, set, frozenset, Sequence)


def kinds(annotation: Any) -> list[Any]:
    """Return the alternatives of an annotation, without None and without metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return kinds(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return [kind for member in get_args(annotation) for kind in kinds(member)]
    return [] if annotation in {None, types.NoneType} else [annotation]


def is_list(kind: Any) -> bool:
    """Tell whether a kind is a list of something."""
    return (get_origin(kind) or kind) in LISTS


def is_mapping(kind: Any) -> bool:
    """Tell whether a kind is an object: a model or a free dictionary."""
    return model_of(kind) is not None or (get_origin(kind) or kind) is dict


def model_of(kind: Any) -> type[BaseModel] | None:
    """Return the kind when it is a model."""
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def item_kinds(kind: Any) -> list[Any]:
    """Return the alternatives of a list's items; none for a plain `list`."""
    arguments = get_args(kind)
    return kinds(arguments[0]) if arguments else []
