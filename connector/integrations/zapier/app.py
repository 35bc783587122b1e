"""Describe the operations and triggers as a Zapier app, in JSON for `zapier-platform convert`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from connector.http.docs.events import event_name, event_schemas
from connector.http.docs.openapi import output_models
from connector.integrations.zapier.fields import input_fields, output_fields, title_case, with_sample
from connector.service.execution.operation import AnyOperation, Effect, Input
from connector.service.triggers import Trigger, sample

PLATFORM = "19.1.0"
MOST_CHOICES = 500
CREATES = frozenset({Effect.WRITE, Effect.SEND})  # not ERASE: a mistake in a Zap must not erase
CHOICES = {"connections": "list_connections", "cohorts": "list_cohorts"}
NOUNS = ("interview", "invitation", "launch", "sync", "run", "connection")
NOT_MAPPED = frozenset({"callback_url"})  # a Zap has no address of its own
PAGING = frozenset({"cursor", "limit"})  # a step takes the first result of a search
LONGEST_LABEL = 64

# The few lines of JavaScript that the app needs; the rest of it is data.
_HOOK = "return [bundle.cleanedRequest];"

# Every request needs the header. Zapier does not replace curly braces in requests that scripts send.
_BEFORE = "request.headers.Authorization = 'Bearer ' + bundle.authData.token;\nreturn request;"

# Without this, people would read a whole response instead of one sentence that says what is wrong.
_AFTER = """\
if (response.status < 400) { return response; }
let said = {};
try { said = z.JSON.parse(response.content); } catch (error) { said = {}; }
const missing = response.status === 404 && !String(said.code).startsWith('unknown_');
if (missing && response.skipThrowForStatus) { return response; }
const words = said.detail || 'The connector answered with status ' + response.status + '.';
if (response.status === 401) { throw new z.errors.ExpiredAuthError(words); }
if (response.status === 503 || said.code === 'idempotency_running') {
  throw new z.errors.ThrottledError(words, parseInt(response.headers.get('retry-after'), 10) || 60);
}
throw new z.errors.Error(words, said.code, response.status);"""

_SEARCH = """\
const response = await z.request({{
  url: {url}, method: 'POST', body: bundle.inputData, skipThrowForStatus: true
}});
if (response.status === 404) {{ return []; }}
const found = response.data.items || [response.data];
return found.map((one) => Object.assign({{
  id: one.interview_id || one.launch_id || one.run_id || bundle.inputData.connection || 'default'
}}, one));"""

_DROP_DOWN = """\
const response = await z.request({{
  url: {url}, method: 'POST', body: {{ connection: bundle.inputData.connection, limit: {limit} }}
}});
return response.data.items;"""


def zapier_app(
    operations: Sequence[AnyOperation], triggers: Sequence[Trigger], *, public_url: str, version: str
) -> dict[str, Any]:
    """Return the definition of a Zapier app whose requests go to `public_url`."""
    url = public_url.rstrip("/")
    searches = [op for op in operations if op.effect is Effect.READ and op.name not in CHOICES.values()]
    return {
        "version": version,
        "platformVersion": PLATFORM,
        "authentication": _authentication(url),
        "beforeRequest": [_script(_BEFORE, "request", "z", "bundle")],
        "afterResponse": [_script(_AFTER, "response", "z", "bundle")],
        "triggers": {
            **_keyed(_hook(trigger, url) for trigger in triggers),
            **_keyed(_drop_down(key, name, operations, url) for key, name in CHOICES.items()),
        },
        "creates": _keyed(_create(op, url) for op in operations if op.effect in CREATES),
        "searches": _keyed(_search(op, url) for op in searches),
    }


def _authentication(url: str) -> dict[str, Any]:
    return {
        "type": "custom",
        "test": {"method": "GET", "url": f"{url}/me"},
        "fields": [
            {
                "key": "token",
                "label": "Token",
                "type": "password",
                "required": True,
                "helpText": "What `koji-amplitude token create zapier --scopes read,write,send` prints. "
                f"[What can be asked with it]({url}/docs).",
            }
        ],
        "connectionLabel": "{{account_name}}",
    }


def _hook(trigger: Trigger, url: str) -> dict[str, Any]:
    name = trigger.name.value
    parts = event_schemas()
    shown = sample(trigger, "default")
    fields = with_sample(output_fields(parts[event_name(trigger)]["properties"], parts), shown)
    return {
        "key": name,
        "noun": _noun(name),
        "display": {"label": trigger.title, "description": trigger.description},
        "operation": {
            "type": "hook",
            "inputFields": input_fields(Input.model_json_schema(), {}, without=frozenset()),
            "perform": _script(_HOOK),
            "performList": {
                "url": f"{url}/triggers/{name}",
                "params": {"connection": "{{bundle.inputData.connection}}"},
                "removeMissingValuesFrom": {"params": True},
            },
            "performSubscribe": {
                "method": "POST",
                "url": f"{url}/hooks",
                "body": {
                    "targetUrl": "{{bundle.targetUrl}}",
                    "event": name,
                    "connection": "{{bundle.inputData.connection}}",
                },
                "removeMissingValuesFrom": {"body": True},
            },
            "performUnsubscribe": {"method": "DELETE", "url": f"{url}/hooks/{{{{bundle.subscribeData.id}}}}"},
            "sample": shown,
            "outputFields": [field | ({"primary": True} if field["key"] == "id" else {}) for field in fields],
        },
    }


def _drop_down(key: str, name: str, operations: Sequence[AnyOperation], url: str) -> dict[str, Any]:
    op = next(op for op in operations if op.name == name)
    first = dict(op.example.answered["items"][0])
    return {
        "key": key,
        "noun": title_case(key.removesuffix("s")),
        "display": {"label": title_case(op.title), "description": op.summary, "hidden": True},
        "operation": {
            "type": "polling",
            "perform": _script(
                _DROP_DOWN.format(url=json.dumps(f"{url}/actions/{name}"), limit=MOST_CHOICES)
            ),
            "sample": first,
            "outputFields": with_sample((), first),
        },
    }


def _create(op: AnyOperation, url: str) -> dict[str, Any]:
    fields = _inputs(op, NOT_MAPPED)
    return {
        **_head(op),
        "operation": {
            "inputFields": fields,
            "perform": {
                "method": "POST",
                "url": f"{url}/actions/{op.name}",
                "body": {field["key"]: f"{{{{bundle.inputData.{field['key']}}}}}" for field in fields},
                "removeMissingValuesFrom": {"body": True},
            },
            "sample": dict(op.example.answered),
            "outputFields": with_sample(_outputs(op), op.example.answered),
        },
    }


def _search(op: AnyOperation, url: str) -> dict[str, Any]:
    answer = op.example.answered
    first = answer["items"][0] if "items" in answer else answer
    subject = first.get("interview_id") or first.get("launch_id") or first.get("run_id") or "default"
    return {
        **_head(op),
        "operation": {
            "inputFields": _inputs(op, NOT_MAPPED | PAGING if "items" in answer else NOT_MAPPED),
            "perform": _script(_SEARCH.format(url=json.dumps(f"{url}/actions/{op.name}"))),
            "sample": {"id": subject, **first},
            "outputFields": with_sample(() if "items" in answer else _outputs(op), {"id": subject, **first}),
        },
    }


def _head(op: AnyOperation) -> dict[str, Any]:
    return {
        "key": op.name,
        "noun": _noun(op.name),
        "display": {"label": title_case(op.title)[:LONGEST_LABEL], "description": op.summary},
    }


def _inputs(op: AnyOperation, without: frozenset[str]) -> list[dict[str, Any]]:
    schema = TypeAdapter(op.input).json_schema()
    return input_fields(schema, schema.get("$defs", {}), without=without)


def _outputs(op: AnyOperation) -> list[dict[str, Any]]:
    fields: dict[str, dict[str, Any]] = {}
    for model in output_models(op):
        schema = TypeAdapter(model).json_schema(mode="serialization")
        for field in output_fields(schema["properties"], schema.get("$defs", {})):
            fields.setdefault(field["key"], field)
    return list(fields.values())


def _script(source: str, *arguments: str) -> dict[str, Any]:
    """Return a function as Zapier takes it; its default arguments are `z` and `bundle`."""
    return {"source": source, **({"args": list(arguments)} if arguments else {})}


def _noun(name: str) -> str:
    return next((noun for noun in NOUNS if noun in name), name.rpartition("_")[2]).capitalize()


def _keyed(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {part["key"]: dict(part) for part in parts}
