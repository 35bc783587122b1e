"""Make the documentation for people, from the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from markupsafe import Markup, escape

from connector import errors
from connector.errors import ConnectorError
from connector.http import body, html
from connector.http.docs.openapi import EFFECTS
from connector.http.docs.schema import Schema, in_words, inside, nullable, resolved
from connector.service.execution.operation import AnyOperation, Effect

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC: Final = Path(__file__).with_name("static")
HEADERS: Final[Mapping[str, str]] = {
    **html.HEADERS,
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""The headers of each page: it loads its style sheet and script from the server, and asks no other server."""


@cache
def _templates() -> Environment:
    made = html.environment(Path(__file__).with_name("templates"))
    made.filters["words"] = _words
    return made


def docs_page(operations: Sequence[AnyOperation], document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    public_url, info = document["servers"][0]["url"], document["info"]
    return (
        _templates()
        .get_template("docs.html")
        .render(
            title=f"koji-amplitude {info['version']}",
            info=info,
            first=_curl(f"{public_url}/me"),
            groups=list(_groups({op.name: op for op in operations}, document, public_url)),
            errors=_errors(),
        )
    )


def _groups(
    operations: Mapping[str, AnyOperation], document: Mapping[str, Any], public_url: str
) -> Iterator[Mapping[str, Any]]:
    """Yield the groups of the document's tags, each with its routes."""
    by_tag = defaultdict[str, list[Mapping[str, Any]]](list)
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            op = operations.get(route["operationId"]) if path.startswith("/actions/") else None
            by_tag[route["tags"][0]].append(_route(document, public_url, path, method.upper(), route, op))
    for tag in document["tags"]:
        if routes := by_tag.get(tag["name"]):
            yield {**tag, "title": tag["name"].capitalize(), "routes": routes}


def _route(
    document: Mapping[str, Any],
    public_url: str,
    path: str,
    method: str,
    route: Mapping[str, Any],
    op: AnyOperation | None,
) -> Mapping[str, Any]:
    definitions = document["components"]["schemas"]
    done = next(what for code, what in route["responses"].items() if code < "300")
    (answer,) = done["content"].values()
    asked = route.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = resolved(asked.get("schema", {}), definitions)
    parameters = {one["name"]: {**one["schema"], **one} for one in route.get("parameters", [])}
    needed = [name for name, one in parameters.items() if one.get("required")]
    fields = {
        "properties": {**parameters, **schema.get("properties", {})},
        "required": [*needed, *schema.get("required", [])],
    }
    reads = op is not None and op.effect is Effect.READ
    is_open = "security" in route
    shapes = answer["schema"].get("anyOf") or [answer["schema"]]
    example = answer.get("example") or next(iter(answer["schema"].get("examples", [])), None)
    return {
        "id": route["operationId"],
        "title": route["summary"],
        "methods": "POST or GET" if reads else method,
        "path": path,
        "kind": "" if op is None else EFFECTS[op.effect],
        "description": route["description"],
        "asks": _fields(fields, definitions, is_input=True),
        "call": _call(op, public_url) if op else _curl(public_url + path, method=method, is_open=is_open),
        "tries": json.dumps(op.example.asked, ensure_ascii=False) if op and reads else "",
        "continues": "202" in route["responses"],
        "answers": [_fields(resolved(one, definitions), definitions, is_input=False) for one in shapes],
        "example": json.dumps(example, indent=2, ensure_ascii=False) if example is not None else "",
    }


def _fields(schema: Schema, definitions: Schema, *, is_input: bool) -> list[Mapping[str, Any]]:
    required = schema.get("required", [])
    rows: list[Mapping[str, Any]] = []
    for name, field in schema.get("properties", {}).items():
        kind = in_words(field, definitions)
        kind += _presence(field, required=name in required) if is_input else " or null" * nullable(field)
        inner = inside(field, definitions)
        rows.append(
            {
                "name": name,
                "kind": kind,
                "description": str(field.get("description", "")),
                "inside": _fields(inner, definitions, is_input=is_input) if inner else [],
            }
        )
    return rows


def _presence(field: Schema, *, required: bool) -> str:
    if required:
        return ", required"
    default = field.get("default")
    if default in (None, [], ""):
        return ""
    return f", default `{default if isinstance(default, str) else json.dumps(default)}`"


def _errors() -> list[Mapping[str, Any]]:
    raised = dict.fromkeys(
        cls
        for cls in (*vars(errors).values(), *vars(body).values())
        if isinstance(cls, type) and issubclass(cls, ConnectorError) and cls.http_status != 500
    )
    return [
        {"code": cls.code, "status": cls.http_status, "meaning": (cls.__doc__ or "").partition("\n")[0]}
        for cls in sorted(raised, key=lambda cls: cls.http_status)
    ]


def _call(op: AnyOperation, public_url: str) -> str:
    url, asked = f"{public_url}/actions/{op.name}", op.example.asked
    if op.effect is Effect.READ and not any(isinstance(value, dict | list) for value in asked.values()):
        return _curl(url + (f"?{urlencode(asked)}" if asked else ""))
    return _curl(url, json.dumps(asked, ensure_ascii=False))


def _curl(url: str, body: str | None = None, *, method: str = "GET", is_open: bool = False) -> str:
    call = f'curl "{url}"' + ("" if is_open else ' -H "Authorization: Bearer $CONNECTOR_API_TOKEN"')
    if body is None:
        return call if method == "GET" else call.replace("curl", f"curl -X {method}", 1)
    quoted = body.replace("'", "'\\''")
    return f"{call} \\\n  -H 'Content-Type: application/json' -d '{quoted}'"


def _words(text: str) -> Markup:
    """Return a text with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before
