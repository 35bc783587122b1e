"""Make the documentation page: one self-contained HTML file, from the OpenAPI document."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

from connector import errors
from connector.errors import ConnectorError
from connector.http import body
from connector.http.docs.openapi import EFFECTS
from connector.http.docs.schema import Schema, in_words, inside, nullable, resolved
from connector.service.execution.operation import AnyOperation, Effect

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --link: #3558c9; --wide: 46rem; }
@media (prefers-color-scheme: dark) { :root { --link: #9db4ff; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; }
main { max-width: var(--wide); margin: 0 auto; padding: 2rem 1rem 6rem; }
h1 { font-size: 1.8rem; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
a { color: var(--link); }
code, pre { font: .875em/1.5 ui-monospace, monospace; }
code { background: var(--soft); border-radius: 3px; padding: .1em .3em; }
pre { background: var(--soft); border-radius: 6px; padding: .8rem 1rem; overflow-x: auto; }
pre code { background: none; padding: 0; }
dl { margin: 0; }
dt { margin-top: .6rem; }
dd { margin: 0 0 0 1.2rem; }
.kind { opacity: .75; font-size: .875rem; }
.route { margin: 0 0 .6rem; }
nav ul { list-style: none; padding: 0; columns: 2 16rem; }
"""

CONTINUES = (
    "<p>200 when the operation has ended; 202 when it continues by itself: then a <code>GET</code> of "
    "<code>status_url</code> returns the result.</p>"
)


def content_security_policy() -> str:
    """Return the header's value: this style sheet only, no script, and no request to any server."""
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def docs_page(operations: Sequence[AnyOperation], document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document; the page needs no script and no other server."""
    public_url = document["servers"][0]["url"]
    sections = (_operation(op, document, public_url) for op in operations)
    body = "\n".join([*_head(document, public_url), _contents(operations), *sections, *_errors()])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>koji-amplitude {escape(document['info']['version'])}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(document: Mapping[str, Any], public_url: str) -> Iterator[str]:
    info = document["info"]
    yield f"<h1>{escape(info['title'])}</h1>"
    yield f"<p>{escape(info['description'])} Version {escape(info['version'])}.</p>"
    yield (
        "<p>Send the value of <code>CONNECTOR_API_TOKEN</code> as <code>Authorization: Bearer …</code>, as "
        "<code>X-API-Key</code>, or as the password of Basic authentication. Bodies are JSON or forms; what "
        "only reads also answers <code>GET</code> with a query string. Empty fields count as not given, "
        'unknown ones are refused. The same for machines: <a href="/openapi.json">openapi.json</a>.</p>'
    )
    yield f"<pre><code>{escape(_curl(f'{public_url}/me', None))}</code></pre>"


def _contents(operations: Sequence[AnyOperation]) -> str:
    items = (f'<li><a href="#{escape(op.name)}">{escape(op.title)}</a></li>' for op in operations)
    return f'<nav><ul>{"".join(items)}<li><a href="#errors">Errors</a></li></ul></nav>'


def _operation(op: AnyOperation, document: Mapping[str, Any], public_url: str) -> str:
    definitions = document["components"]["schemas"]
    route = document["paths"][f"/actions/{op.name}"]
    body = resolved(_schema_of(route["post"]["requestBody"]), definitions)
    answer = _schema_of(route["post"]["responses"]["200"])
    methods = " or ".join(method.upper() for method in sorted(route, reverse=True))
    continues = "202" in route["post"]["responses"]
    return "\n".join(
        [
            f'<section id="{escape(op.name)}">',
            f"<h2>{escape(op.title)}</h2>",
            f'<p class="route"><code>{methods} /actions/{escape(op.name)}</code>',
            f'<span class="kind">{escape(EFFECTS[op.effect])}</span></p>',
            f"<p>{_text(op.summary)}</p>",
            "<h3>Fields</h3>",
            _fields(body, definitions, is_input=True),
            "<h3>Answer</h3>",
            CONTINUES if continues else "",
            _answers(answer, definitions),
            f"<pre><code>{escape(_call(op, public_url))}</code></pre>",
            "</section>",
        ]
    )


def _answers(answer: Schema, definitions: Schema) -> str:
    shapes = answer.get("anyOf") or [answer]
    lists = (_fields(resolved(shape, definitions), definitions, is_input=False) for shape in shapes)
    return "<p>or</p>".join(lists)


def _fields(schema: Schema, definitions: Schema, *, is_input: bool) -> str:
    required = schema.get("required", [])
    rows = []
    for name, field in schema.get("properties", {}).items():
        kind = in_words(field, definitions)
        kind += _presence(field, required=name in required) if is_input else " or null" * nullable(field)
        described = _text(str(field.get("description", "")))
        if inner := inside(field, definitions):
            described += _fields(inner, definitions, is_input=is_input)
        term = f'<code>{escape(name)}</code> <span class="kind">{_text(kind)}</span>'
        rows.append(f"<dt>{term}</dt><dd>{described}</dd>")
    return f"<dl>{''.join(rows)}</dl>" if rows else "<p>None.</p>"


def _presence(field: Schema, *, required: bool) -> str:
    if required:
        return ", required"
    default = field.get("default")
    if default in (None, [], ""):
        return ""
    return f", default `{default if isinstance(default, str) else json.dumps(default)}`"


_ERRORS = dict.fromkeys(
    cls
    for cls in (*vars(errors).values(), *vars(body).values())
    if isinstance(cls, type) and issubclass(cls, ConnectorError) and cls.http_status != 500
)


def _errors() -> Iterator[str]:
    yield '<section id="errors"><h2>Errors</h2>'
    yield (
        "<p>Errors are <code>application/problem+json</code>. <code>detail</code> says what happened, which "
        "field, and what to do; <code>errors</code> points at wrong fields; <code>request_id</code> finds "
        "the request in the log. 429 and 503 tell in <code>Retry-After</code> when to try again.</p><dl>"
    )
    for cls in sorted(_ERRORS, key=lambda cls: cls.http_status):
        meaning, _, _ = (cls.__doc__ or "").partition("\n")
        yield f'<dt id="{cls.code}"><code>{cls.code}</code> <span class="kind">{cls.http_status}</span></dt>'
        yield f"<dd>{_text(meaning)}</dd>"
    yield "</dl></section>"


def _call(op: AnyOperation, public_url: str) -> str:
    url, body = f"{public_url}/actions/{op.name}", op.example.asked
    if op.effect is Effect.READ and not any(isinstance(value, dict | list) for value in body.values()):
        return _curl(url + (f"?{urlencode(body)}" if body else ""), None)
    return _curl(url, json.dumps(body, ensure_ascii=False))


def _curl(url: str, body: str | None) -> str:
    call = f'curl "{url}" -H "Authorization: Bearer $CONNECTOR_API_TOKEN"'
    if body is None:
        return call
    quoted = body.replace("'", "'\\''")
    return f"{call} \\\n  -H 'Content-Type: application/json' -d '{quoted}'"


def _text(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _schema_of(content: Mapping[str, Any]) -> Schema:
    schema: Schema = content["content"]["application/json"]["schema"]
    return schema
