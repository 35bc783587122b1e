"""Hold the few lines of JavaScript that a Zapier app needs; the rest of the app is data."""

from __future__ import annotations

import json
from typing import Any

HOOK = "return [bundle.cleanedRequest];"

# Every request needs the header. Zapier does not replace curly braces in requests that scripts send.
BEFORE = "request.headers.Authorization = 'Bearer ' + bundle.authData.token;\nreturn request;"

# Without this, people would read a whole response instead of one sentence that says what is wrong.
AFTER = """\
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


def script(source: str, *arguments: str) -> dict[str, Any]:
    """Return a function as Zapier takes it; its default arguments are `z` and `bundle`."""
    return {"source": source, **({"args": list(arguments)} if arguments else {})}


def search_script(url: str) -> dict[str, Any]:
    """Return a function that answers the list of results; empty when there are none."""
    return script(_SEARCH.format(url=json.dumps(url)))


def drop_down_script(url: str, limit: int) -> dict[str, Any]:
    """Return a function that answers a page of ids and names."""
    return script(_DROP_DOWN.format(url=json.dumps(url), limit=limit))
