"""Every operation is whole."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from connector.operations import OPERATIONS
from connector.service.execution.operation import AnyOperation, Effect, EffectInput, Input, Output

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


class TestOperations:
    @pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
    def test_is_named_like_its_file_and_its_constant(self, op: AnyOperation) -> None:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", op.name)
        home = importlib.import_module(f"connector.operations.{op.name}")
        assert getattr(home, op.name.upper()) is op

    def test_names_are_unique(self) -> None:
        names = [op.name for op in OPERATIONS]
        assert len(set(names)) == len(names)

    def test_each_file_of_an_operation_is_listed(self) -> None:
        names = {op.name for op in OPERATIONS}
        declaring = {
            path.stem
            for path in (ROOT / "connector/operations").glob("*.py")
            if re.search(r"^[A-Z_]+ = Operation\.of\(", path.read_text(encoding="utf-8"), re.MULTILINE)
        }
        assert declaring == names

    @pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
    def test_has_words_for_people_and_models(self, op: AnyOperation) -> None:
        assert op.title[0].isupper()
        assert not op.title.endswith(".")
        assert op.summary.endswith(".")
        assert len(op.summary) > 40
        assert inspect.getdoc(op.run)

    @pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
    def test_describes_every_field(self, op: AnyOperation) -> None:
        shapes = [op.input, *outputs(op)]
        assert issubclass(op.input, Input)
        assert all(issubclass(shape, Output) for shape in outputs(op))
        missing = [
            f"{model.__name__}.{name}"
            for shape in shapes
            for model in models(shape)
            for name, field in model.model_fields.items()
            if not (field.description or "").strip()
        ]
        assert not missing

    @pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
    def test_takes_an_idempotency_key_exactly_when_it_changes_something(self, op: AnyOperation) -> None:
        assert issubclass(op.input, EffectInput) == (op.effect is not Effect.READ)


def outputs(op: AnyOperation) -> list[type[BaseModel]]:
    found: Any = op.output
    return list(get_args(found)) if get_origin(found) in (Union, UnionType) else [found]


def models(shape: type[BaseModel], seen: set[type[BaseModel]] | None = None) -> Iterator[type[BaseModel]]:
    """Yield a model and all models inside it."""
    seen = set() if seen is None else seen
    if shape in seen:
        return
    seen.add(shape)
    yield shape
    for field in shape.model_fields.values():
        for inner in leaves(field.annotation):
            yield from models(inner, seen)


def leaves(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from leaves(inner)
