"""Make the OpenAPI 3.1 document of the operations and the endpoints beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from connector import __version__
from connector.http.docs.events import event_schemas
from connector.http.docs.paths import TAGS, endpoint_paths, json_content, refusals
from connector.http.docs.schema import REF, resolved
from connector.http.endpoint import Endpoint, parameter
from connector.http.problem import EXAMPLES as PROBLEMS
from connector.http.problem import Problem
from connector.service.execution.operation import AnyOperation, Effect, Output
from connector.service.input.annotations import kinds

HOME = "https://github.com/koji-amplitude/koji-amplitude"
PROBLEM = "problem"  # no operation has this name: theirs begin with a verb

IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    "header",
    "The same as the field idempotency_key.",
    {"type": "string", "minLength": 1, "maxLength": 255},
)

REPLAYED = {
    "Idempotency-Replayed": {
        "description": "`true` when this repeats the answer of an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}

FOLLOW_UP = {
    "status_url": {"type": "string", "description": "The URL whose GET returns the result."},
    "callback_secret": {
        "type": "string",
        "description": "Signs each post to callback_url (Standard Webhooks); only with a callback_url.",
    },
}

REFUSALS = {
    "401": "No token, or a wrong one.",
    "403": "The token lacks the scope, or is for other connections.",
    "404": "A thing that the request names does not exist, for example the connection.",
    "409": "The state does not allow the operation, or a setting is missing.",
    "413": "The body is too large.",
    "415": "The body's format is not supported.",
    "422": "A field is wrong; `errors` names it.",
    "429": "Too many requests without a valid token; see Retry-After.",
    "502": "Koji or Amplitude refused.",
    "503": "Koji, Amplitude or the ledger is unavailable; see Retry-After.",
}

MALFORMED = "The body is signed, but is not JSON."  # an answer of webhooks only

EFFECTS = {
    Effect.READ: "Changes nothing that anyone would notice.",
    Effect.WRITE: "Changes the connector's own records.",
    Effect.SEND: "Changes something at Koji or Amplitude, contacts people, or spends.",
    Effect.ERASE: "Removes for good.",
}


def openapi(
    operations: Sequence[AnyOperation], endpoints: Sequence[Endpoint], *, public_url: str
) -> dict[str, Any]:
    """Return the document of a server at `public_url`."""
    schemas, definitions = _schemas(operations)
    paths: dict[str, Any] = {f"/actions/{op.name}": _path(op, schemas, definitions) for op in operations}
    paths |= endpoint_paths(endpoints)
    used = json.dumps([paths, *(shared := {**event_schemas(), **definitions}).values()])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "koji-amplitude",
            "version": __version__,
            "description": "Closes the loop between Amplitude cohorts and Koji AI interviews. Operations "
            "that only read also answer GET with a query string; their POST is shown here.",
            "contact": {"name": "The koji-amplitude maintainers", "url": HOME},
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": [{"url": public_url}],
        "security": [{"bearer": []}, {"apiKey": []}, {"basic": []}],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {n: s for n, s in shared.items() if n == "Problem" or f'/schemas/{n}"' in used},
            "responses": {
                status: _problem(status, words, schemas)
                for status, words in {"400": MALFORMED, **REFUSALS}.items()
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The token as the password; any user name.",
                },
            },
        },
    }


def output_models(op: AnyOperation) -> list[type[Output]]:
    """Return the shapes that an operation can answer in."""
    return [kind for kind in kinds(op.output) if isinstance(kind, type)]


def can_continue(op: AnyOperation) -> bool:
    """Tell whether an operation can answer before it has ended (202)."""
    return op.effect is not Effect.READ and any(
        model.follow_up is not Output.follow_up for model in output_models(op)
    )


Schemas = dict[tuple[str, str], Any]


def _schemas(operations: Sequence[AnyOperation]) -> tuple[Schemas, dict[str, Any]]:
    types: list[tuple[str, Any, TypeAdapter[Any]]] = [(PROBLEM, "serialization", TypeAdapter(Problem))]
    for op in operations:
        types.append((op.name, "validation", TypeAdapter(op.input)))
        types.append((op.name, "serialization", TypeAdapter(op.output)))
    found, shared = TypeAdapter.json_schemas(types, ref_template=REF)
    return dict(found.items()), shared.get("$defs", {})


def _path(op: AnyOperation, schemas: Schemas, definitions: dict[str, Any]) -> dict[str, Any]:
    input_schema = schemas[op.name, "validation"]
    required = bool(resolved(input_schema, definitions).get("required"))
    post = {
        "operationId": op.name,
        "tags": [op.subject],
        "summary": op.title,
        "description": op.summary,
        "responses": _responses(op, schemas),
        "parameters": [] if op.effect is Effect.READ else [IDEMPOTENCY_KEY],
        "requestBody": {"required": required, "content": json_content(input_schema, op.example.asked)},
    }
    return {"post": post}


def _responses(op: AnyOperation, schemas: Schemas) -> dict[str, Any]:
    answered = schemas[op.name, "serialization"]
    content = json_content(answered, op.example.answered)
    responses: dict[str, Any] = {"200": {"description": "Finished.", "content": content}}
    if op.effect is not Effect.READ:
        responses["200"]["headers"] = REPLAYED
    if can_continue(op):
        responses["202"] = {
            "description": "Started; the operation continues by itself.",
            "headers": REPLAYED,
            "content": json_content({"allOf": [answered, _follow_up(op)]}),
        }
    return responses | refusals(list(REFUSALS))


def _follow_up(op: AnyOperation) -> dict[str, Any]:
    # without the answer's own fields: makers of clients cannot merge two types of one field
    own = {name for model in output_models(op) for name in model.model_fields}
    added = {name: field for name, field in FOLLOW_UP.items() if name not in own}
    return {"type": "object", "required": ["status_url"], "properties": added}


def _problem(status: str, words: str, schemas: Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": words,
        "content": {
            "application/problem+json": {
                "schema": schemas[PROBLEM, "serialization"],
                "example": PROBLEMS[status].model_dump(exclude_none=True),
            }
        },
    }
    if status in ("429", "503"):
        response["headers"] = {
            "Retry-After": {"description": "Whole seconds.", "schema": {"type": "integer"}}
        }
    return response
