"""Forms of the console, endpoints of OAuth, and the opt-out page: no form is a fault."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import strategies as st

from connector.console.routes import SCREENS
from connector.security.opt_out_token import opt_out_token
from tests.fuzz.door import Door, every
from tests.fuzz.hostile import ANYTHING, FORM, JSON, PEOPLE, PLAIN, as_json
from tests.oauth.asking import CHALLENGE, REDIRECT, VERIFIER
from tests.support.harness import TOKEN

pytestmark = [pytest.mark.e2e, pytest.mark.fuzz]

OWN = {"Sec-Fetch-Site": "same-origin"}
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            *(
                "do",
                "connection",
                "cohort_id",
                "email",
                "user_id",
                "members",
                "interview_ids",
                "idempotency_key",
            ),
            *("plan_token", "max_interviews", "mode", "locale", "name", "scope_read", "connection_default"),
            *("search", "status", "since", "until", "cursor", "limit", "next", "in_doubt", "reason", "force"),
        ]
    ),
    st.sampled_from(["plan", "launch", "resume", "retry", "cancel", "forget", "send", "allow", "deny", "on"])
    | PEOPLE
    | PLAIN,
    max_size=5,
)
ENCODABLE = FIELDS.map(lambda given: {name: text.encode("utf-8", "replace") for name, text in given.items()})
PARTS = st.sampled_from(["int-1", "lau_1", "run_1", "a%2Fb", "%00", "..", "%ed%a0%80", "x" * 300])


def is_no_fault(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text


@pytest.fixture
def form_token(door: Door) -> str:
    """Sign in, and return the token that a form of the console carries."""
    answer = door.send("POST", "/console/session?next=/console", data={"token": TOKEN}, headers=OWN)
    assert answer.status_code == 303, answer.text
    page = door.send("GET", "/console/launches/new").text
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', page)
    assert found is not None, page
    return found[1]


def test_no_form_of_the_console_is_a_fault(door: Door, examples: int, form_token: str) -> None:
    def check(made: tuple[str, str, dict[str, bytes], bool]) -> None:
        path, part, fields, is_ours = made
        where = re.sub(r"\{[^}]*\}", part, path)
        if not where.endswith("/events"):  # those never end
            query = urlencode(fields)
            is_no_fault(door.send("GET", f"{where}?{query}"))
        sent = {**fields, "form_token": form_token.encode() if is_ours else b"another"}
        body = urlencode(sent)
        is_no_fault(door.send("POST", where, content=body, headers={**OWN, "Content-Type": FORM.decode()}))

    ours = st.sampled_from([True] * 5 + [False])
    every(examples, st.tuples(st.sampled_from([*SCREENS, "/console/session"]), PARTS, ENCODABLE, ours), check)


def test_no_request_of_oauth_is_a_fault(door: Door, examples: int, form_token: str) -> None:
    made = door.send("POST", "/oauth/register", json={"redirect_uris": [REDIRECT], "client_name": "A"})
    client_id = made.json()["client_id"]
    known = {
        "client_id": st.just(client_id) | PLAIN,
        "redirect_uri": st.just(REDIRECT) | PLAIN,
        "response_type": st.just("code") | PLAIN,
        "code_challenge": st.just(CHALLENGE) | PLAIN,
        "code_challenge_method": st.just("S256") | PLAIN,
        "state": PLAIN,
        "scope": st.sampled_from(["read", "read send", "offline_access"]) | PLAIN,
        "resource": st.just("http://127.0.0.1:8080/mcp") | PLAIN,
        "grant_type": st.sampled_from(["authorization_code", "refresh_token"]) | PLAIN,
        "code": PLAIN,
        "refresh_token": PLAIN,
        "code_verifier": st.just(VERIFIER) | PLAIN,
        "token": PLAIN,
    }
    wanted = st.fixed_dictionaries({}, optional=known)
    metadata = st.fixed_dictionaries(
        {},
        optional={
            "redirect_uris": st.lists(st.just(REDIRECT) | PLAIN, max_size=3) | ANYTHING,
            "client_name": PLAIN | ANYTHING,
            "token_endpoint_auth_method": st.just("none") | ANYTHING,
            "grant_types": ANYTHING,
            "client_uri": PLAIN | ANYTHING,
        },
    )

    def check(made: tuple[dict[str, str], Any]) -> None:
        fields, described = made
        plain = {name: text.encode("utf-8", "replace") for name, text in fields.items()}
        form = {"content": urlencode(plain), "headers": {"Content-Type": FORM.decode()}}
        is_no_fault(door.send("POST", "/oauth/token", **form))
        is_no_fault(door.send("POST", "/oauth/revoke", **form))
        is_no_fault(door.send("GET", f"/oauth/authorize?{urlencode(plain)}"))
        allowed = {"do": "allow", "scope_read": "on", "form_token": form_token}
        is_no_fault(door.send("POST", f"/oauth/authorize?{urlencode(plain)}", data=allowed, headers=OWN))
        as_client = {"content": as_json(described), "headers": {"Content-Type": JSON.decode()}}
        is_no_fault(door.send("POST", "/oauth/register", **as_client))

    every(examples, st.tuples(wanted, metadata | ANYTHING), check)


def test_no_link_to_opt_out_is_a_fault(door: Door, examples: int) -> None:
    key, invitation = door.world.context.ledger.plan_key, f"inv_{'0123456789abcdef' * 2}"
    real = st.integers(-(2**63), 2**63 - 1).map(lambda person: opt_out_token(key, invitation, person))
    tokens = real | st.text(max_size=80) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1"))

    def check(made: tuple[str, dict[str, bytes]]) -> None:
        path = f"/o/{quote(made[0].encode('utf-8', 'replace'), safe='')}"
        is_no_fault(door.send("GET", path))
        one_click = {**made[1], "List-Unsubscribe": b"One-Click"}
        is_no_fault(door.send("POST", path, data=one_click))

    every(examples, st.tuples(tokens, ENCODABLE), check)
