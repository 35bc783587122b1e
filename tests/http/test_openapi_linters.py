"""The linters of the OpenAPI world find nothing in the document, in both versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector.app import ENDPOINTS
from connector.http.docs.older import openapi_3_0
from connector.http.docs.openapi import openapi
from connector.operations import OPERATIONS
from tests.support.openapi_node import redocly, spectral

pytestmark = pytest.mark.contract

DOCUMENT = openapi(OPERATIONS, ENDPOINTS, public_url="https://connector.koji-amplitude.dev")
DOCUMENTS = {"3.1": DOCUMENT, "3.0": openapi_3_0(DOCUMENT)}


@pytest.mark.interop
@pytest.mark.slow
def test_spectral_finds_nothing(tmp_path: Path) -> None:
    assert spectral(DOCUMENTS, tmp_path) == []


@pytest.mark.interop
@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_redocly_finds_no_error(document: dict[str, Any], tmp_path: Path) -> None:
    found = redocly(document, tmp_path)
    assert {one["ruleId"] for one in found} <= {
        "operation-4xx-response"
    }  # /healthz and /readyz refuse nothing
    assert [one for one in found if one["severity"] == "error"] == []


def test_no_schema_has_several_types() -> None:
    """Makers of clients do not take them, and version 3.0 does not know them."""
    assert '"type": [' not in json.dumps(DOCUMENT)


@pytest.mark.parametrize(
    ("schema", "older"),
    [
        (
            {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "A"},
            {"type": "integer", "nullable": True, "title": "A"},
        ),
        (
            {"anyOf": [{"enum": ["a"], "type": "string"}, {"type": "null"}]},
            {"enum": ["a", None], "type": "string", "nullable": True},
        ),
        (
            {"anyOf": [{"$ref": "#/a"}, {"type": "null"}]},
            {"type": "object", "nullable": True, "allOf": [{"$ref": "#/a"}]},
        ),
        ({"$ref": "#/a", "description": "A."}, {"allOf": [{"$ref": "#/a"}], "description": "A."}),
        ({"const": 1, "examples": [1, 2]}, {"enum": [1], "example": 1}),
        ({"properties": {"const": {"type": "string"}}}, {"properties": {"const": {"type": "string"}}}),
        ({"example": {"type": ["null", "string"]}}, {"example": {"type": ["null", "string"]}}),
    ],
)
def test_a_schema_means_the_same_in_3_0(schema: dict[str, Any], older: dict[str, Any]) -> None:
    assert openapi_3_0({"schema": schema})["schema"] == older
