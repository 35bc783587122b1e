"""Whatever comes in: nothing raises, nothing takes long, nothing that no database takes gets through."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.results.interview import Interview
from connector.domain.results.koji_fields import read_envelope, read_interview, shape

pytestmark = pytest.mark.unit

KEYS = st.sampled_from(
    [
        *(
            "data",
            "payload",
            "interview",
            "analysis",
            "respondent",
            "metadata",
            "stats",
            "event",
            "type",
            "id",
        ),
        *("interview_id", "conversation_id", "project_id", "respondent_email", "email", "external_id"),
        *("themes", "sentiment", "quality_score", "analysis_status", "anonymous", "mode", "name", "label"),
        *("completed_at", "timestamp", "created_at", "duration_seconds", "respondent_messages"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        [10**400, "\ud800", "²", "interview.completed", "2026-01-31", "9" * 5000, "ada@example.com"]
    )
)
BODIES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=40,
)
HEADERS = st.lists(
    st.tuples(
        st.binary(max_size=8) | st.sampled_from([b"x-koji-event", b"a-topic", b"-event"]),
        st.binary(max_size=30) | st.just(b"interview.completed"),
    ),
    max_size=4,
)
FIELDS = [*Interview._fields, "event"]
ALIASES = st.dictionaries(
    st.sampled_from(FIELDS),
    st.lists(KEYS | st.sampled_from(["0", "1", "²", "-1", "9" * 30]), min_size=1, max_size=3).map(tuple),
    max_size=4,
)


@given(BODIES, HEADERS, ALIASES, st.none() | st.integers(0, 10**13))
def test_nothing_raises_and_everything_can_be_stored(
    body: Any, headers: list[tuple[bytes, bytes]], aliases: dict[str, tuple[str, ...]], signed_at: int | None
) -> None:
    envelope = read_envelope(body, headers, aliases)
    found = read_interview(
        body, "int_1", event=envelope.event, aliases=aliases, signed_at=signed_at, project_id="p"
    )
    stored = json.dumps([getattr(found, name) for name in FIELDS[:-1]], allow_nan=False, ensure_ascii=False)
    assert "\x00" not in stored.encode().decode()
    assert envelope.event is None or envelope.event.encode()
    assert envelope.interview_id is None or (
        envelope.interview_id.isascii() and 1 <= len(envelope.interview_id) <= 200
    )
    assert found.quality_score is None or 0 <= found.quality_score <= 5
    assert found.respondent_email is None or found.email_given
    for at in (found.completed_at, found.occurred_at):
        assert at is None or 0 <= at < 4_102_444_800_000


@given(BODIES)
def test_a_shape_has_no_values(body: Any) -> None:
    paths = shape(body)
    assert len(paths) <= 40
    assert all(len(path) <= 170 and "@" not in path for path in paths)


def deep() -> Any:
    body: Any = "x"
    for _ in range(400):
        body = dict.fromkeys(("data", "interview", "metadata", "respondent"), body) | {"id": "a"}
    return body


HUGE = {
    "many keys": {f"k{n}": n for n in range(70_000)},
    "many themes": {"themes": [f"theme {n}" for n in range(60_000)]},
    "one long theme": {"themes": "a," * 500_000},
    "lines": {"themes": "a\n" * 500_000},
    "spaces": {"themes": " " * 1_000_000, "sentiment": " " * 1_000_000, "interview_id": " " * 1_000_000},
    "long event": {"event": "a." * 500_000, "data": {"event": "a." * 500_000}},
    "dotted": {"data": {"event": "a" + "._" * 500_000 + "!"}},
    "digits": {
        "quality_score": "1" * 1_000_000,
        "completed_at": "1" * 1_000_000,
        "external_id": "1" * 1_000_000,
    },
    "deep": deep(),
    "wide and nested": {
        name: {inner: {"id": "x", "event": "y"} for inner in ("data", "analysis", "metadata")}
        for name in ("data", "payload", "interview", "analysis", "respondent", "metadata", "stats")
    },
}


@pytest.mark.parametrize("name", HUGE)
def test_a_body_of_a_megabyte_is_read_at_once(name: str) -> None:
    started = time.process_time()
    envelope = read_envelope(HUGE[name])
    read_interview(HUGE[name], "int_1", event=envelope.event)
    shape(HUGE[name])
    assert time.process_time() - started < 1.0  # a quadratic step would take minutes
