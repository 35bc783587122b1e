"""What each kind of error looks like."""

from __future__ import annotations

from collections.abc import Mapping

from connector.http.problem import Problem, WrongField, problem_of

REQUEST_ID = "9f2c61d07a3be845"

_SAID = {
    "400": ("malformed_json", "The signature is right, the body is not JSON."),
    "401": ("unauthenticated", "The token is missing; send it as Authorization: Bearer."),
    "403": ("missing_scope", "This needs the scope send, which the token does not have."),
    "404": ("not_found", "launch_id: there is no launch lau_sample on the connection default."),
    "409": ("not_configured", "KOJI_API_KEY is not set for the connection default."),
    "413": ("body_too_large", "The body is larger than 20 MiB; send it in several requests."),
    "415": ("unsupported_content_type", "Content-Type: send application/json, or a form."),
    "422": ("invalid_input", "wait_seconds: must be at most 25"),
    "429": ("too_many_failures", "Too many requests without a valid token; wait and send a valid one."),
    "502": ("credentials_rejected", "Koji refused the key; check KOJI_API_KEY."),
    "503": ("upstream_unavailable", "Koji did not answer; send the request again later."),
}
_FIELDS = {"422": [WrongField(detail="must be at most 25", pointer="/wait_seconds")]}

PROBLEMS: Mapping[str, Problem] = {
    status: problem_of(int(status), code, detail, REQUEST_ID, errors=_FIELDS.get(status))
    for status, (code, detail) in _SAID.items()
}
