"""The examples that machines are shown are of the shapes that the operations have."""

from __future__ import annotations

import json

import pytest
from pydantic import TypeAdapter

from connector.http.docs.openapi import output_models
from connector.operations import OPERATIONS
from connector.service.execution.operation import AnyOperation

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
def test_fits_its_operation(op: AnyOperation) -> None:
    asked, answered = op.example
    op.input.model_validate(asked)
    TypeAdapter(op.output).validate_python(answered)
    assert set(answered) in [set(model.model_fields) for model in output_models(op)]


def test_people_are_at_example_com() -> None:
    text = json.dumps([[one.asked, one.answered] for one in (op.example for op in OPERATIONS)])
    assert text.count("@") == text.count("@example.com") > 0
